#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "bridge/base/Process.h"

namespace gridbridge::testing {

/// Commands of DIRAC that answer what a test says, each as often as it is asked. Not safe for
/// concurrent use.
class FakeDirac final : public ProcessRunner {
public:
    struct Asked {
        std::string program;
        std::vector<std::string> arguments;
        std::map<std::string, std::string> variables;

        /// The word behind that option.
        std::string after(const std::string& option) const {
            const auto at = std::find(arguments.begin(), arguments.end(), option);
            return at == arguments.end() ? "" : *std::next(at);
        }
        /// Arguments that are numbers.
        std::vector<std::string> ids() const {
            std::vector<std::string> all;
            for (const auto& each : arguments) {
                if (each.find_first_not_of("0123456789") == std::string::npos) {
                    all.push_back(each);
                }
            }
            return all;
        }
    };
    using Answer = std::function<Result<Finished>(const Asked&, const CallContext&)>;

    Result<Finished> run(const Command& command, const CallContext& ctx, std::size_t) override {
        const auto at =
            std::find_if(command.argv.begin(), command.argv.end(),
                         [&](const auto& each) { return answers.contains(nameOf(each)); });
        if (at == command.argv.end()) {
            return Finished{0, {}, "", ""};  // What syncs a folder.
        }
        Asked asked{nameOf(*at), {std::next(at), command.argv.end()}, {}};
        for (auto each = command.argv.begin(); each != at; ++each) {  // As env(1) takes them.
            const auto equals = each->find('=');
            if (equals != std::string::npos) {
                asked.variables[each->substr(0, equals)] = each->substr(equals + 1);
            }
        }
        for (const auto* left : {"guarded", "guard_names", "guard_outputs"}) {
            if (!unguarded.contains(left)) {
                std::ofstream(std::filesystem::path(asked.variables["TMPDIR"]) / left) << "";
            }
        }
        all.push_back(asked);
        return answers.at(asked.program)(asked, ctx);
    }
    /// Their names, in order.
    std::vector<std::string> programs() const {
        std::vector<std::string> names;
        for (const auto& each : all) {
            names.push_back(each.program);
        }
        return names;
    }
    static Answer says(const std::string& out, int code = 0) {
        return [=](const Asked&, const CallContext&) { return Finished{code, {}, out, ""}; };
    }

    std::map<std::string, Answer> answers;
    std::vector<Asked> all;
    std::set<std::string> unguarded;  ///< What the guard does not leave.

private:
    static std::string nameOf(const std::string& argument) {
        return std::filesystem::path(argument).filename();
    }
};

}  // namespace gridbridge::testing
