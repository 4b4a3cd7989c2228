#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "backends/api/Backend.h"
#include "backends/arc/ArcClient.h"
#include "bridge/base/Clock.h"

namespace gridbridge {

/// Calls about the files of jobs, who can make any of them hang or never end: by a pipe in the
/// place of a file, or a million names in a folder. Safe for concurrent use.
class ArcPatience {
public:
    /// The calls of one verb.
    struct Turn {
        SteadyTime until;   ///< No new call after that.
        int hangs = 0;      ///< So many hung: after two the others are left for the next turn.
        bool away = false;  ///< ARC itself does not answer: nobody is asked any more.
        bool over = false;  ///< Somebody was left for the next turn.
        /// Nothing is known of the last one for a reason of its own, or as its turn comes later.
        bool left = false;
    };

    /// Both must outlive this.
    ArcPatience(ArcClient& client, const Clock& clock) : client_(client), clock_(clock) {}

    /// What `call` gives with five seconds. What hangs, while ARC answers about the same job, or
    /// has no end, is then not asked for a while, each time longer; an answer ends that.
    template <class Call>
    auto ask(const CallContext& ctx, Turn& turn, const std::string& id, const std::string& file,
             const Call& call) -> decltype(call(ctx)) {
        const Name name(id, file);
        if (auto why = refusal(ctx, turn, name); !why.empty()) {
            return transientError(std::move(why));
        }
        const auto brief = briefly(ctx);
        auto answer = call(brief);
        judge(ctx, brief, turn, name, answer ? nullptr : &answer.error());
        return answer;
    }
    /// It hung when it was last asked for.
    bool hasHung(const std::string& id, const std::string& file) const;
    void forget(const std::string& id);
    CallContext briefly(const CallContext& ctx) const;

    /// Each of these jobs by its place, beginning with the one that `first` names, or whose key
    /// would be next. `first` then is the first that was left for the next turn; where nobody was,
    /// it stays, for a turn of a few others must not make those wait again.
    template <class Look>
    static void each(std::span<const JobRef> refs, std::string& first, const Turn& turn,
                     const Look& look) {
        std::multimap<std::string, std::size_t> order;
        for (std::size_t i = 0; i < refs.size(); ++i) {
            order.emplace(refs[i].key.value, i);
        }
        auto next = order.lower_bound(first);
        bool wasOver = false;
        for (std::size_t n = 0; n < order.size(); ++n, ++next) {
            next = next == order.end() ? order.begin() : next;
            look(next->second);
            if (turn.over && !std::exchange(wasOver, true)) {
                first = next->first;
            }
        }
    }

private:
    using Name = std::pair<std::string, std::string>;  ///< A job's id, and which of its files.
    struct Hung {
        SteadyTime until;
        int times = 0;
    };
    /// Why it is not asked; empty: it is.
    std::string refusal(const CallContext& ctx, Turn& turn, const Name& name) const;
    void judge(const CallContext& ctx, const CallContext& brief, Turn& turn, const Name& name,
               const Error* error);

    ArcClient& client_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    std::map<Name, Hung> hung_;
};

}  // namespace gridbridge
