#include "bridge/store/Connection.h"

#include <sqlite3.h>

#include <fcntl.h>
#include <string>
#include <sys/stat.h>

#include "bridge/base/Fd.h"

namespace gridbridge::store {
namespace {

constexpr mode_t kDatabaseMode = 0640;

using Kind = StoreError::Kind;

Kind kindOf(const SQLite::Exception& failure) {
    if (failure.getExtendedErrorCode() == SQLITE_IOERR_SHMSIZE) {  // the -shm file could not grow
        return Kind::Full;
    }
    switch (failure.getErrorCode() & 0xff) {
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return Kind::Busy;
        case SQLITE_FULL:
            return Kind::Full;
        case SQLITE_IOERR:
        case SQLITE_CANTOPEN:
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_AUTH:
            return Kind::Io;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Kind::Corrupt;
        default:
            return Kind::Other;
    }
}

std::string cureFor(Kind kind) {
    switch (kind) {
        case Kind::Busy:
            return "; another program holds a lock on it: end that program's transaction";
        case Kind::Full:
            return "; make room there";
        case Kind::Io:
            return "; check its folder, owner and mode, the disk and its quota";
        case Kind::Corrupt:
            return "; stop the service and restore a backup, or move the file away to start anew";
        case Kind::Newer:
        case Kind::Other:
            return "";
    }
    return "";
}

/// SQLite gives its -wal and -shm files the mode of the database, so the mode is set before it
/// opens the file. The umask of the service is 0077: the mode is set, not only asked for.
void createFile(const std::filesystem::path& file) {
    const Fd fd(
        ::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, kDatabaseMode));
    if (fd) {
        ::fchmod(fd.get(), kDatabaseMode);
    }
}

SQLite::Database open(const std::filesystem::path& file, int flags, Millis patience) {
    try {
        return {file.string(), flags, static_cast<int>(patience.count())};
    } catch (const SQLite::Exception& failure) {
        throw storeError(file, failure);
    }
}

}  // namespace

std::filesystem::path databaseFile(const std::filesystem::path& folder) {
    return folder / "gridbridge.db";
}

StoreError storeError(const std::filesystem::path& file, const SQLite::Exception& failure) {
    const Kind kind = kindOf(failure);
    // SQLite calls some ways of being full an I/O error.
    const std::string what = kind == Kind::Full ? "its disk is full" : failure.what();
    return {kind, file.string() + ": " + what + cureFor(kind)};
}

Connection Connection::forWriting(const std::filesystem::path& file, Millis patience) {
    createFile(file);
    Connection connection(file, open(file, SQLite::OPEN_READWRITE, patience));
    connection.use([&] {
        auto& database = connection.database_;
        database.exec("PRAGMA auto_vacuum = INCREMENTAL");  // Counts before the first table only.
        const auto mode = database.execAndGet("PRAGMA journal_mode = WAL").getString();
        if (mode != "wal") {
            throw StoreError(Kind::Io, file.string() + ": this file system cannot hold the " +
                                           "database's write-ahead log; use a local disk");
        }
        // A reader without write permission cannot create the log: it must stay behind.
        int keep = 1;
        sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
        database.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
    });
    return connection;
}

Connection Connection::forReading(const std::filesystem::path& file, Millis patience) {
    std::error_code error;
    const bool there = std::filesystem::exists(file, error);
    if (error) {
        throw StoreError(Kind::Io, file.string() + ": " + error.message() +
                                       "; use an account that may read the state folder");
    }
    if (!there) {
        throw StoreError(Kind::Io, file.string() +
                                       ": there is no database yet; the service makes it when " +
                                       "it first starts");
    }
    return {file, open(file, SQLite::OPEN_READONLY, patience)};
}

}  // namespace gridbridge::store
