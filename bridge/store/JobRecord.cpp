#include "bridge/store/JobRecord.h"

#include <array>

namespace gridbridge::store {

std::string_view nameOf(State state) {
    switch (state) {
        case State::Received:
            return "received";
        case State::Claimed:
            return "claimed";
        case State::Submitting:
            return "submitting";
        case State::Queued:
            return "queued";
        case State::Running:
            return "running";
        case State::Collecting:
            return "collecting";
        case State::Reporting:
            return "reporting";
        case State::Done:
            return "done";
    }
    return "";
}

std::string_view nameOf(Outcome outcome) {
    switch (outcome) {
        case Outcome::None:
            return "";
        case Outcome::Success:
            return "success";
        case Outcome::Failed:
            return "failed";
        case Outcome::Canceled:
            return "canceled";
        case Outcome::Dropped:
            return "dropped";
    }
    return "";
}

std::string_view nameOf(Cancel cancel) {
    switch (cancel) {
        case Cancel::None:
            return "none";
        case Cancel::Soft:
            return "soft";
        case Cancel::Hard:
            return "hard";
    }
    return "";
}

std::string_view nameOf(TraceState state) {
    switch (state) {
        case TraceState::Open:
            return "open";
        case TraceState::Limited:
            return "limited";
        case TraceState::Complete:
            return "complete";
    }
    return "";
}

std::optional<State> stateNamed(std::string_view name) {
    static constexpr std::array kStates{State::Received,  State::Claimed, State::Submitting,
                                        State::Queued,    State::Running, State::Collecting,
                                        State::Reporting, State::Done};
    for (const auto state : kStates) {
        if (nameOf(state) == name) {
            return state;
        }
    }
    return std::nullopt;
}

}  // namespace gridbridge::store
