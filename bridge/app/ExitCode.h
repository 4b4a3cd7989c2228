#pragma once

#include "bridge/store/JobStore.h"

namespace gridbridge::app {

/// What a command tells its caller; the numbers from 74 are those of sysexits.h.
inline constexpr int kExitWell = 0;
inline constexpr int kExitFailed = 1;  ///< The thing asked for failed.
inline constexpr int kExitUsage = 2;
inline constexpr int kExitIo = 74;
inline constexpr int kExitTemporary = 75;  ///< Trying again later can help.
inline constexpr int kExitConfiguration = 78;

/// The exit code of a program that the store stopped.
inline int exitCodeOf(store::StoreError::Kind kind) {
    switch (kind) {
        case store::StoreError::Kind::Busy:
        case store::StoreError::Kind::Full:
            return kExitTemporary;
        case store::StoreError::Kind::Io:
        case store::StoreError::Kind::Corrupt:
        case store::StoreError::Kind::Other:
            return kExitIo;
        case store::StoreError::Kind::Newer:
            return kExitConfiguration;  // Of the machine: the wrong program is installed.
    }
    return kExitIo;
}

}  // namespace gridbridge::app
