#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "bridge/base/Check.h"

namespace gridbridge {

/// What a caller does about an error; there is one kind per different reaction.
enum class ErrorKind {
    Transient,  ///< Certainly had no effect; the same call may be repeated later.
    Uncertain,  ///< May or may not have had an effect; find out before repeating.
    Permanent,  ///< Repeating cannot help; the job or the configuration is wrong.
};

struct Error {
    ErrorKind kind = ErrorKind::Permanent;
    std::string message;  ///< One line, lower-case start, no trailing full stop, no secrets.
    /// It passes only when a person changes a setting, here or there; `message` names which.
    bool misconfigured = false;
};

/// A value or an Error. Asking for the one that is not there aborts.
template <typename T>
class [[nodiscard]] Result {
    static_assert(!std::is_same_v<T, Error>);

public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }
    const T& value() const& {
        BRIDGE_CHECK(ok());
        return *std::get_if<0>(&state_);
    }
    T&& value() && {
        BRIDGE_CHECK(ok());
        return std::move(*std::get_if<0>(&state_));
    }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    const T* operator->() const { return &value(); }
    const Error& error() const {
        BRIDGE_CHECK(!ok());
        return *std::get_if<1>(&state_);
    }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}
    bool ok() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return ok(); }
    const Error& error() const {
        BRIDGE_CHECK(!ok());
        return *error_;
    }

private:
    std::optional<Error> error_;
};

inline Error transientError(std::string message) {
    return {ErrorKind::Transient, std::move(message)};
}
inline Error uncertainError(std::string message) {
    return {ErrorKind::Uncertain, std::move(message)};
}
inline Error permanentError(std::string message) {
    return {ErrorKind::Permanent, std::move(message)};
}

}  // namespace gridbridge
