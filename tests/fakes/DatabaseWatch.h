#pragma once

#include <filesystem>
#include <functional>
#include <string>

struct sqlite3;

namespace gridbridge::testing {

/// Sees, through SQLite's own hooks, every write transaction that connections of this process
/// commit, whoever opened them. One at a time; made before the connections it is to watch.
class DatabaseWatch {
public:
    DatabaseWatch();
    ~DatabaseWatch();
    DatabaseWatch(const DatabaseWatch&) = delete;
    DatabaseWatch& operator=(const DatabaseWatch&) = delete;

    int commits() const;
    /// Runs `action` once, at the beginning of the next write transaction, before it has a lock.
    void beforeNextWrite(std::function<void()> action);
};

/// A person with the sqlite3 command: a connection that the watch does not see.
class Person {
public:
    explicit Person(const std::filesystem::path& database);
    ~Person();
    Person(const Person&) = delete;
    Person& operator=(const Person&) = delete;

    /// Throws std::runtime_error when SQLite refuses.
    void execute(const std::string& sql);

private:
    sqlite3* connection_ = nullptr;
};

}  // namespace gridbridge::testing
