#pragma once

#include <string>

#include "backends/api/Backend.h"
#include "backends/arc/ArcParse.h"

namespace gridbridge {

/// ARC's states of jobs, and what they mean. Pure.

/// All of them, as a list of jobs is asked for.
extern const char* const kArcStates;

/// A-REX has not passed it to its batch system: a kill comes before any start.
bool isArcWaiting(const std::string& state);
/// It will do nothing more.
bool isArcFinal(const std::string& state);
/// It is not there any more.
bool isArcGone(const std::string& state);
/// It may be on a node: a list does not tell whether it waits in the batch system behind ARC.
bool isArcInside(const std::string& state);

/// What is known besides its state of a job that has ended.
struct ArcPast {
    ArcFields local = {};      ///< What A-REX keeps of it.
    ArcFields diagnosis = {};  ///< What its node told.
    std::string failed = {};   ///< Why it failed.
    bool marked = false;       ///< Its start marker is there.
    bool removed = false;      ///< We asked for its end.
};
/// It was killed before A-REX had passed it on.
bool wasArcKilledEarly(const ArcPast& past);

Observation arcEnd(const std::string& state, const ArcPast& past);

/// Of one that has not ended. `started`: its start marker is there; `told`: its state as the
/// information about it has it, which may be old.
Observation arcObservation(const std::string& state, bool started, const std::string& told);

}  // namespace gridbridge
