#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/base/Clock.h"
#include "bridge/base/Keys.h"
#include "bridge/store/JobStore.h"

namespace gridbridge::store {

/// A text column that may hold the empty text; elsewhere the empty text is NULL.
struct Required {
    std::string_view text;
};

/// A column of bytes.
struct Blob {
    std::string_view bytes;
};

/// One use of a prepared statement: binds and reads columns from left to right, and leaves the
/// statement reset. That matters: a SELECT left standing holds its old view of the database.
class Query {
public:
    explicit Query(SQLite::Statement& statement) : statement_(statement) {}
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    ~Query() { statement_.tryReset(); }

    template <typename... Values>
    Query& with(const Values&... values) {
        (bind(values), ...);
        return *this;
    }
    /// For statements without rows; gives the number of rows they changed.
    int run() { return statement_.exec(); }
    /// Moves to the next row.
    bool next() {
        column_ = 0;
        return statement_.executeStep();
    }

    std::int64_t integer() { return statement_.getColumn(column_++).getInt64(); }
    int number() { return statement_.getColumn(column_++).getInt(); }
    std::string text() { return statement_.getColumn(column_++).getString(); }
    JobRow row() { return JobRow{integer()}; }
    WallTime time() { return fromEpoch(Millis(integer())); }
    std::optional<std::int64_t> maybeInteger() {
        return null() ? std::nullopt : std::optional(integer());
    }
    std::optional<int> maybeNumber() { return null() ? std::nullopt : std::optional(number()); }
    std::optional<WallTime> maybeTime() { return null() ? std::nullopt : std::optional(time()); }

private:
    bool null() {
        if (!statement_.isColumnNull(column_)) {
            return false;
        }
        ++column_;
        return true;
    }
    void bind(std::int64_t value) { statement_.bind(++bound_, value); }
    void bind(int value) { statement_.bind(++bound_, value); }
    void bind(JobRow row) { bind(static_cast<std::int64_t>(row)); }
    void bind(WallTime time) { bind(std::int64_t{sinceEpoch(time).count()}); }
    void bind(Required value) { statement_.bind(++bound_, std::string(value.text)); }
    void bind(Blob value) {
        statement_.bind(++bound_, value.bytes.data(), static_cast<int>(value.bytes.size()));
    }
    void bind(std::string_view text) {
        if (text.empty()) {
            statement_.bind(++bound_);
        } else {
            bind(Required{text});
        }
    }
    template <typename T>
    void bind(const std::optional<T>& value) {
        if (value) {
            bind(*value);
        } else {
            statement_.bind(++bound_);
        }
    }

    SQLite::Statement& statement_;
    int bound_ = 0;
    int column_ = 0;
};

/// The one of `values` that the database calls `name`. The columns have CHECK constraints: another
/// word is damage.
template <typename Value>
Value named(std::initializer_list<Value> values, const std::string& name) {
    for (const auto value : values) {
        if (nameOf(value) == name) {
            return value;
        }
    }
    throw StoreError(StoreError::Kind::Corrupt,
                     "the database holds an unknown word: " + name.substr(0, 40));
}

}  // namespace gridbridge::store
