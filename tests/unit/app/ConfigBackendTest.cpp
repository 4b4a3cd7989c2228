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
    std::vector<std::string> asBackend(const std::string& lines, uid_t uid = 0) {
        return folder_.faultsOf(
            std::string(gridbridge::testing::kRunner) + "[backends.here]\n" + lines, uid);
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

TEST_F(BackendConfigErrors, Containers) {
    const std::string local = "type = \"local\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string here = "config.toml:10: backends.here.";
    EXPECT_THAT(asBackend(local + "container = \"podman\"\ncontainer_binds = [\"/cvmfs\"]\n"),
                ::testing::IsEmpty());
    EXPECT_THAT(asBackend(local + "container_command = [\"run\", \"{binds}\", \"{image}\"]\n"),
                ::testing::IsEmpty());
    EXPECT_THAT(asBackend(local + "container = \"docker\"\n"),
                ElementsAre(::testing::StartsWith(here + "container: ")));
    EXPECT_THAT(asBackend(local + "container_command = [\"{binds}\", \"{image}\", \"{auth}\"]\n"),
                ElementsAre(here + "container_command: holds the unknown value {auth}; write one "
                                   "of: image, entrypoint, workdir, binds, builds, name"));
    EXPECT_THAT(asBackend(local + "container_command = [\"run\", \"{binds}\"]\n"),
                ElementsAre(here + "container_command: does not hold {image}; write it where the "
                                   "image's name belongs"));
    EXPECT_THAT(asBackend(local + "container_command = [\"run\", \"{image}\"]\n"),
                ElementsAre(here + "container_command: does not hold {binds}; write it in the word "
                                   "that binds a folder: what runs inside is in one"));
    for (const std::string odd : {"/a:ro", "/a,ro"}) {
        EXPECT_THAT(
            asBackend(local + "container = \"podman\"\ncontainer_binds = [\"" + odd + "\"]\n"),
            ElementsAre("config.toml:11: backends.here.container_binds: an element holds : "
                        "or ,; bind the folder above it, or give it another name"));
    }
    const std::string inBuilds = "container_binds = [\"/cvmfs\", \"/x/../builds/data\"]\n";
    EXPECT_THAT(asBackend(local + "container = \"podman\"\n" + inBuilds),
                ElementsAre("config.toml:11: backends.here.container_binds: an element is /builds "
                            "or in it, where the project lies; bind a folder that has another "
                            "path on the nodes"));
    EXPECT_THAT(asBackend(local + "container_command = [\"{binds}\", \"{image}\"]\n" + inBuilds),
                ::testing::IsEmpty());
    for (const std::string odd : {"/a:b", "/a,b"}) {
        const std::string folders = "type = \"local\"\nrun_as = \"ci\"\nwork_dir = \"" + odd +
                                    "\"\nscratch = \"" + odd + "\"\n";
        EXPECT_THAT(asBackend(folders), ::testing::IsEmpty());
        EXPECT_THAT(
            asBackend(folders + "container = \"apptainer\"\n"),
            ElementsAre("config.toml:9: backends.here.work_dir: holds : or , which runtimes "
                        "of containers take for options; choose another folder",
                        "config.toml:10: backends.here.scratch: holds : or , which "
                        "runtimes of containers take for options; choose another folder"));
    }
    // No node sees it: the job's folder there is what is bound.
    EXPECT_THAT(asBackend("type = \"htcondor\"\nrun_as = \"ci\"\nwork_dir = \"/a:b\"\n"
                          "file_transfer = true\ncontainer = \"podman\"\n"),
                ::testing::IsEmpty());
    EXPECT_THAT(asBackend(local + "container_binds = [\"/a\"]\n"),
                ElementsAre(here + "container_binds: says nothing without a command that runs "
                                   "containers; write container or container_command, or remove "
                                   "it"));
    EXPECT_THAT(asBackend(local + "container_binds = [\"a\"]\ncontainer = \"apptainer\"\n"),
                ElementsAre(here + "container_binds: an element is no absolute path; write folders "
                                   "like \"/cvmfs\""));
    EXPECT_THAT(
        asBackend("type = \"simulated\"\nwork_dir = \"/w\"\n\ncontainer = \"podman\"\n"),
        ElementsAre(here + "container: says nothing for type = \"simulated\", which runs no "
                           "script; remove it"));
}

TEST_F(BackendConfigErrors, WhatJobsMayAskFor) {
    const std::string slurm = "type = \"slurm\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string local = "type = \"local\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string here = "config.toml:10: backends.here.";
    EXPECT_THAT(asBackend(slurm + "cpus = 1\nmax_cpus = 16\nmemory = \"2 GiB\"\n"
                                  "max_memory = \"64 GiB\"\ndisk = \"1 GiB\"\n"
                                  "max_disk = \"2 TiB\"\ngpus = 0\nmax_gpus = 2\n"
                                  "wall_time = \"1 h\"\nmax_wall_time = \"2 days\"\n"
                                  "queues = [\"short\"]\naccounts = [\"a_b\", \"g.x@y\"]\n"
                                  "project_accounts = [\"physics/**=phys\"]\n"),
                ::testing::IsEmpty());
    EXPECT_THAT(asBackend(local + "max_wall_time = \"1 h\"\n"), ::testing::IsEmpty());
    EXPECT_THAT(asBackend(local + "max_memory = \"64 GiB\"\n"),
                ElementsAre(here + "max_memory: cannot be asked for with type = \"local\"; remove "
                                   "it"));
    EXPECT_THAT(asBackend("type = \"htcondor\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n"
                          "queues = [\"q\"]\n"),
                ElementsAre(here + "queues: cannot be asked for with type = \"htcondor\"; remove "
                                   "it"));
    EXPECT_THAT(asBackend(slurm + "cpus = 4\nmax_cpus = 2\n"),
                ElementsAre(here + "cpus: is more than max_cpus; lower it, or raise the other"));
    EXPECT_THAT(asBackend(slurm + "max_memory = \"lots\"\n"),
                ElementsAre(here + "max_memory: \"lots\" is no size that can be used here; write a "
                                   "number with MiB, GiB or TiB, like \"2 GiB\"; 1 MiB to 1024 "
                                   "TiB"));
    EXPECT_THAT(asBackend(slurm + "max_cpus = 0\n"),
                ElementsAre(here + "max_cpus: is 0; write a number from 1 to 1000000"));
    EXPECT_THAT(asBackend(slurm + "queues = [\"short\", \"--uid=0\"]\n"),
                ElementsAre(here + "queues: \"--uid=0\" is not a name; use letters, digits, '.', "
                                   "'_', '@' and '-' only"));
    for (const char* bad : {"physics", "=phys", "physics/*=", "physics/*=a b", "a=b=c"}) {
        EXPECT_THAT(asBackend(slurm + "project_accounts = [\"" + bad + "\"]\n"),
                    ElementsAre(here + "project_accounts: \"" + bad +
                                "\" names no account for a project; write each as "
                                "\"group/project=account\", with * for part of a name and ** for "
                                "several"));
    }
}

TEST_F(BackendConfigErrors, WhoJobsOfAProjectRunAs) {
    const std::string base = "type = \"local\"\nwork_dir = \"/w\"\n";
    const auto with = [&](const std::string& map, const std::string& usual = "run_as = \"ci\"\n",
                          uid_t uid = 0) {
        return asBackend(base + usual + "project_run_as = [" + map + "]\n", uid);
    };
    const std::string here = "config.toml:10: backends.here.project_run_as: ";
    EXPECT_THAT(with(R"("g/**=ciphys", "h/p=ci", "i/*=ciphys")"), ::testing::IsEmpty());
    EXPECT_THAT(with(R"("g/**=ciphys")", "trusted_jobs = true\n"), ::testing::IsEmpty());
    EXPECT_THAT(
        with(R"("g/**=nobody-here")"),
        ElementsAre(here + "there is no account \"nobody-here\"; create it or name another"));
    EXPECT_THAT(with(R"("g/**=root")"),
                ElementsAre(here + "\"root\" is the account of the service itself; name an account "
                                   "that cannot read the service's files"));
    EXPECT_THAT(with(R"("g/**=ciphys")", "run_as = \"ci\"\n", 1235),
                ElementsAre(here + "\"ciphys\" is the account of the service itself; name an "
                                   "account that cannot read the service's files"));
    EXPECT_THAT(with(R"("g/**=root")", "run_as = \"ci\"\n", 1000),
                ElementsAre(here + "\"root\" can read every file; name an account that cannot read "
                                   "the service's files"));
    EXPECT_THAT(with(R"("g/**=ci-too")"),
                ElementsAre(here + "\"ci-too\" is the same account as \"ci\"; name one of the two "
                                   "only"));
    for (const char* bad : {"ciphys", "=ciphys", "g/**=", "g/**=../ci", "g/**=-ci"}) {
        EXPECT_THAT(with("\"" + std::string(bad) + "\""),
                    ElementsAre(here + "\"" + bad +
                                "\" names no account for a project; write each as "
                                "\"group/project=account\", with * for part of a name and ** for "
                                "several"));
    }
    EXPECT_THAT(asBackend(base + "project_run_as = [\"g/**=ciphys\"]\n"),
                ElementsAre(::testing::HasSubstr("backends.here.run_as: is missing")));
    EXPECT_THAT(asBackend("type = \"simulated\"\nwork_dir = \"/w\"\nproject_run_as = [\"g=ci\"]\n"),
                ElementsAre("config.toml:9: backends.here.project_run_as: says nothing for type = "
                            "\"simulated\", which runs no script; remove it"));
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
    EXPECT_THAT(asBackend(htcondor + "schedd = \"ce.example.org\"\nspool = true\n"),
                ::testing::IsEmpty());
    for (const std::string also : {"", "schedd = \"s@x\"\nfile_transfer = true\n"}) {
        EXPECT_THAT(asBackend(htcondor + "spool = true\n" + also),
                    ElementsAre(here + "spool: is for the schedd of another machine, to which it "
                                       "copies the files; name it with schedd = \"NAME\", and "
                                       "leave out file_transfer"));
    }
    EXPECT_THAT(asBackend(htcondor + "submit_options = [\"queue 2\"]\n"),
                ElementsAre(::testing::StartsWith(
                    here + "submit_options: \"queue 2\" cannot be given to condor_submit here; ")));
}

TEST_F(BackendConfigErrors, AKeyOfArc) {
    const std::string arc = "type = \"arc\"\nwork_dir = \"/w\"\nurl = \"https://ce/arex\"\n";
    const std::string token = "token_file = \"/t\"\n";
    const std::string here = "config.toml:11: backends.here.";
    EXPECT_THAT(asBackend(arc + token), ::testing::IsEmpty());
    EXPECT_THAT(asBackend(arc + "queue = \"a b\"\n" + token),
                ElementsAre("config.toml:10: backends.here.queue: is not a name; use letters, "
                            "digits, '.', '_', '@' and '-' only"));
    EXPECT_THAT(asBackend(arc + token + "run_as = \"ci\"\n"),
                ElementsAre(here + "run_as: says nothing for type = \"arc\", whose jobs run "
                                   "elsewhere; remove it"));
    EXPECT_THAT(asBackend(arc + token + "home = \"project\"\n"),
                ElementsAre(::testing::HasSubstr("with ARC they do not")));
    EXPECT_THAT(asBackend(arc + token + "sites = [\"a\"]\n"),
                ElementsAre(here + "sites: is for type = \"diracx\" only; remove it"));
    EXPECT_THAT(asBackend("type = \"slurm\"\nrun_as = \"ci\"\nwork_dir = \"/w\"\n"
                          "url = \"https://ce\"\n"),
                ElementsAre(::testing::HasSubstr(
                    "url: is for type = \"diracx\" and \"arc\" only; remove it")));
    EXPECT_THAT(asBackend(arc), ElementsAre(::testing::HasSubstr("tls_cert_file: is missing; name "
                                                                 "the file with the service's")));
    EXPECT_THAT(asBackend(arc + "tls_cert_file = \"/c\"\n"),
                ElementsAre(::testing::HasSubstr("tls_key_file: is missing beside")));
    EXPECT_THAT(asBackend(arc + token + "tls_cert_file = \"/c\"\ntls_key_file = \"/k\"\n"),
                ::testing::Contains(::testing::HasSubstr(
                    "token_file: tls_cert_file and token_file are both given; keep one of them")));
    EXPECT_THAT(asBackend("type = \"arc\"\nwork_dir = \"/w\"\nurl = \"http://ce\"\n" + token),
                ElementsAre(::testing::HasSubstr("url: has no TLS")));
}

TEST_F(BackendConfigErrors, AKeyOfDiracx) {
    const std::string diracx =
        "type = \"diracx\"\nwork_dir = \"/w\"\nurl = \"https://d\"\ncredentials = \"/c\"\n";
    const std::string here = "config.toml:11: backends.here.";
    const std::string cure = "write letters, digits and _ . / : = @ + - only, and a letter first";
    EXPECT_THAT(asBackend(diracx), ::testing::IsEmpty());
    EXPECT_THAT(asBackend(diracx + "run_as = \"ci\"\n"),
                ElementsAre(here + "run_as: says nothing for type = \"diracx\", whose jobs run "
                                   "elsewhere; remove it"));
    EXPECT_THAT(asBackend(diracx + "tags = [\"a;b\"]\n"),
                ElementsAre(here + "tags: \"a;b\" is nothing that a JDL can hold; " + cure));
    EXPECT_THAT(asBackend(diracx + "platform = \"0\"\n"),
                ElementsAre(here + "platform: is nothing that a JDL can hold; " + cure));
    EXPECT_THAT(asBackend(diracx + "home = \"project\"\n"),
                ElementsAre(::testing::HasSubstr("with DIRAC they do not")));
    EXPECT_THAT(asBackend("type = \"diracx\"\nwork_dir = \"/w\"\nurl = \"http://d\"\n"),
                ::testing::UnorderedElementsAre(
                    ::testing::HasSubstr("url: has no TLS, and tokens are sent there"),
                    ::testing::HasSubstr("credentials: is missing")));
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
    EXPECT_THAT(asBackend(sge + "max_cpus = 4\nqueues = [\"long.q\"]\n"), ::testing::IsEmpty());
    EXPECT_THAT(asBackend(sge + "max_gpus = 4\n"),
                ElementsAre("config.toml:11: backends.here.max_gpus: cannot be asked for with type "
                            "= \"command\" and this submit; remove it"));
    EXPECT_THAT(asBackend(sge + "submit = [\"qsub\", \"-q\", \"{queue}\"]\n"),
                ElementsAre("config.toml:11: backends.here.submit: holds {queue}, which not every "
                            "job has; write a word like \"[-q {queue}]\": it is left out where a "
                            "value of it is absent"));
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

TEST_F(BackendConfigErrors, HowJobsUseTheNodes) {
    const std::string local = "type = \"local\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n";
    const std::string here = "config.toml:10: backends.here.";
    for (const std::string good : {"\"/a b/-'c\"", "'/a\"b'", "\"/\""}) {
        EXPECT_THAT(asBackend(local + "scratch = " + good + "\n"), ::testing::IsEmpty()) << good;
    }
    for (const std::string good : {"$NAME_1", "$_"}) {
        const auto line = "scratch = \"" + good + "\"\n";
        EXPECT_THAT(asBackend("type = \"slurm\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\n" + line),
                    ::testing::IsEmpty())
            << good;
        EXPECT_THAT(asBackend(local + line),
                    ElementsAre(here + "scratch: local jobs get no variables but PATH, HOME, USER, "
                                       "LOGNAME and LANG; write a path"));
    }
    for (const std::string bad : {"$A/b", "${A}", "/scratch/$USER", "$", "$1", "$(id)", "$A "}) {
        EXPECT_THAT(asBackend(local + "scratch = \"" + bad + "\"\n"),
                    ElementsAre(here + "scratch: a variable stands for all of it or nothing; write "
                                       "a path, or \"$NAME\" with a variable of the nodes"))
            << bad;
    }
    EXPECT_THAT(asBackend(local + "scratch = \"a\"\n"),
                ElementsAre(here + "scratch: is not an absolute path; write it from the root, "
                                   "starting with /"));
    EXPECT_THAT(asBackend(local + "scratch = \"/a\\nb\"\n"),
                ElementsAre(here + "scratch: holds a control character; remove it"));
    EXPECT_THAT(asBackend(local + "min_scratch = \"3 apples\"\n"),
                ElementsAre(::testing::StartsWith(here + "min_scratch: \"3 apples\" is no size")));
    EXPECT_THAT(asBackend(local + "home = \"mine\"\n"),
                ElementsAre(here + "home: \"mine\" is not known; write one of: private, real, "
                                   "project"));
    EXPECT_THAT(asBackend(local + "builds_dir = \"/builds\"\n"), ::testing::IsEmpty());
    EXPECT_THAT(asBackend(local + "builds_dir = \"builds\"\n"),
                ElementsAre(here + "builds_dir: is not an absolute path; write it from the root, "
                                   "starting with /"));
    for (const std::string bad : {"/w", "/w/builds", "/"}) {
        EXPECT_THAT(asBackend(local + "builds_dir = \"" + bad + "\"\n"),
                    ElementsAre(here + "builds_dir: lies in work_dir, or work_dir in it; write a "
                                       "folder that is there for this alone"))
            << bad;
    }
    EXPECT_THAT(asBackend(local + "shell_init = \"\"\n"),
                ElementsAre(here + "shell_init: is empty; give it a value or remove it"));
}

TEST_F(BackendConfigErrors, HomesOfProjectsNeedAFolderThatTheNodesSee) {
    const std::string condor =
        "type = \"htcondor\"\nwork_dir = \"/w\"\nrun_as = \"ci\"\nhome = \"project\"\n";
    EXPECT_THAT(asBackend(condor), ::testing::IsEmpty());
    EXPECT_THAT(asBackend(condor + "file_transfer = true\n"),
                ElementsAre("config.toml:10: backends.here.home: \"project\" needs a work_dir that "
                            "the nodes see, and with file_transfer or spool they need not; write "
                            "\"private\" or \"real\""));
    EXPECT_THAT(asBackend("type = \"simulated\"\nwork_dir = \"/w\"\nscratch = \"/s\"\n"),
                ElementsAre("config.toml:9: backends.here.scratch: says nothing for type = "
                            "\"simulated\", which runs no script; remove it"));
}

}  // namespace
}  // namespace gridbridge::app
