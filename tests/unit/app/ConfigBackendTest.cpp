// What is said about the keys that one kind of backend has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/app/ConfigFolder.h"

namespace gridbridge::app {
namespace {

using ::testing::ElementsAre;

class BackendConfigErrors : public ::testing::Test {
protected:
    /// `lines` are the section [backends.here] from line 7 on; its header is line 6.
    std::vector<std::string> asBackend(const std::string& lines) {
        return folder_.faultsOf(
            std::string(gridbridge::testing::kRunner) + "[backends.here]\n" + lines, 0);
    }

private:
    gridbridge::testing::ConfigFolder folder_;
};

TEST_F(BackendConfigErrors, AKeyOfSlurm) {
    const std::string slurm = "type = \"slurm\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string here = "config.toml:10: backends.here.";
    EXPECT_THAT(asBackend("type = \"local\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\nqos = \"q\"\n"),
                ElementsAre(here + "qos: is for type = \"slurm\" only; remove it"));
    EXPECT_THAT(asBackend(slurm + "slots = 4\n"),
                ElementsAre(here + "slots: says nothing for type = \"slurm\", which has its own; "
                                   "remove it"));
    EXPECT_THAT(
        asBackend(slurm + "partition = \"a b\"\n"),
        ElementsAre(here + "partition: is not a name of Slurm; write it as Slurm shows it"));
    EXPECT_THAT(asBackend(slurm + "submit_options = [\"--mem=4G\", \"--requeue\"]\n"),
                ElementsAre(::testing::StartsWith(
                    here + "submit_options: \"--requeue\" cannot be given to sbatch here; ")));
}

TEST_F(BackendConfigErrors, AKeyOfHTCondor) {
    const std::string htcondor = "type = \"htcondor\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string here = "config.toml:10: backends.here.";
    EXPECT_THAT(asBackend("type = \"slurm\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\nschedd = \"s\"\n"),
                ElementsAre(here + "schedd: is for type = \"htcondor\" only; remove it"));
    EXPECT_THAT(
        asBackend("type = \"local\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\nbin_dir = \"/b\"\n"),
        ElementsAre(here + "bin_dir: is for type = \"slurm\", \"htcondor\" and \"command\" only; "
                           "remove it"));
    EXPECT_THAT(asBackend(htcondor + "schedd = \"-pool\"\n"),
                ElementsAre(here + "schedd: is not a name of a schedd; write it as condor_status "
                                   "-schedd shows it"));
    EXPECT_THAT(asBackend(htcondor + "submit_options = [\"queue 2\"]\n"),
                ElementsAre(::testing::StartsWith(
                    here + "submit_options: \"queue 2\" cannot be given to condor_submit here; ")));
}

TEST_F(BackendConfigErrors, AKeyOfCommands) {
    const std::string command = "type = \"command\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string sge = command + "preset = \"sge\"\n";
    const std::string here = "config.toml:10: backends.here.";
    EXPECT_THAT(asBackend(sge), ::testing::IsEmpty());
    EXPECT_THAT(
        asBackend("type = \"slurm\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\npreset = \"sge\"\n"),
        ElementsAre(here + "preset: is for type = \"command\" only; remove it"));
    EXPECT_THAT(asBackend(command + "preset = \"lfs\"\n"),
                ::testing::Contains(here + "preset: there is no preset \"lfs\"; write one of: "
                                           "flux, lsf, oar, pbs, sge, torque"));
    EXPECT_THAT(asBackend(command),
                ::testing::Contains("config.toml:6: backends.here.submit: is missing; write it, or "
                                    "name a preset: flux, lsf, oar, pbs, sge, torque"));
    EXPECT_THAT(asBackend(sge + "submit_id = '(?<id>\\d+'\n"),
                ElementsAre(::testing::AllOf(
                    ::testing::StartsWith("config.toml:11: backends.here.submit_id: is no regular "
                                          "expression: "),
                    ::testing::EndsWith("; write one of Perl's, as '...' so that \\ stands for "
                                        "itself"))));
    EXPECT_THAT(asBackend(sge + "submit_id = '\\d+'\n"),
                ElementsAre("config.toml:11: backends.here.submit_id: has no group id; write "
                            "(?<id>...) around that part"));
    EXPECT_THAT(asBackend(sge + "cancel = [\"qdel\", \"{job}\"]\n"),
                ElementsAre("config.toml:11: backends.here.cancel: holds the unknown value {job}; "
                            "write one of: id, name, user"));
    EXPECT_THAT(asBackend(sge + "status_json = \"Jobs\"\n"),
                ::testing::Contains("config.toml:6: backends.here.status_members: does not say "
                                    "where the state of a job is; write [\"state=...\", "
                                    "\"name=...\"]"));
    EXPECT_THAT(
        asBackend(sge + "command_environment = [\"SGE_ROOT\"]\n"),
        ElementsAre("config.toml:11: backends.here.command_environment: an element is not an "
                    "assignment; write each as \"NAME=value\""));
    EXPECT_THAT(asBackend(sge + "slots = 4\n"),
                ElementsAre("config.toml:11: backends.here.slots: says nothing for type = "
                            "\"command\", which has its own; remove it"));
}

}  // namespace
}  // namespace gridbridge::app
