#pragma once

#include <string>

namespace gridbridge {

/// Why Slurm lets a job wait, for people: its own word in parentheses behind plain ones. What is no
/// known word, like Slurm's sentences, stays as it is. Words: job_reasons.html of Slurm 20.11 to
/// 26.05.
std::string inPlainWords(const std::string& reason);

}  // namespace gridbridge
