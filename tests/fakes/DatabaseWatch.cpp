#include "tests/fakes/DatabaseWatch.h"

#include <sqlite3.h>

#include <atomic>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace gridbridge::testing {

namespace {

// SQLite's automatic extensions are one list per process, so that their state is one as well.
std::atomic<int> committed{0};
std::function<void()> beforeWrite;

int onCommit(void*) {
    ++committed;
    return 0;
}

int onStatement(unsigned, void*, void*, void* text) {
    if (std::string_view(static_cast<const char*>(text)).starts_with("BEGIN IMMEDIATE")) {
        if (auto action = std::exchange(beforeWrite, nullptr)) {
            action();
        }
    }
    return 0;
}

int attach(sqlite3* connection, const char**, const sqlite3_api_routines*) {
    sqlite3_commit_hook(connection, onCommit, nullptr);
    sqlite3_trace_v2(connection, SQLITE_TRACE_STMT, onStatement, nullptr);
    return SQLITE_OK;
}

}  // namespace

DatabaseWatch::DatabaseWatch() {
    committed = 0;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(attach));
}

DatabaseWatch::~DatabaseWatch() {
    sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(attach));
    beforeWrite = nullptr;
}

int DatabaseWatch::commits() const {
    return committed;
}

void DatabaseWatch::beforeNextWrite(std::function<void()> action) {
    beforeWrite = std::move(action);
}

Person::Person(const std::filesystem::path& database) {
    if (sqlite3_open_v2(database.c_str(), &connection_, SQLITE_OPEN_READWRITE, nullptr) !=
        SQLITE_OK) {
        throw std::runtime_error("cannot open " + database.string());
    }
    sqlite3_commit_hook(connection_, nullptr, nullptr);
    sqlite3_trace_v2(connection_, 0, nullptr, nullptr);
}

Person::~Person() {
    sqlite3_close(connection_);
}

void Person::execute(const std::string& sql) {
    if (sqlite3_exec(connection_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
        throw std::runtime_error(sqlite3_errmsg(connection_));
    }
}

}  // namespace gridbridge::testing
