#include <gtest/gtest.h>

#include <string>

#include "backends/local/LocalRecord.h"

namespace gridbridge {
namespace {

const SubmissionKey kKey{"gb-test-1-1"};

LocalRecord pendingRecord() {
    LocalRecord record;
    record.key = kKey;
    record.account = "ci";
    record.id = 17;
    record.submittedAt = fromEpoch(Millis(1767225600123));
    return record;
}

LocalRecord runningRecord() {
    auto record = pendingRecord();
    record.state = LocalState::Running;
    record.process = folder::ProcessId{4711, 123456789, "boot"};
    record.startedAt = fromEpoch(Millis(1767225601000));
    return record;
}

LocalRecord endedRecord() {
    auto record = runningRecord();
    record.state = LocalState::Ended;
    record.removedAt = fromEpoch(Millis(1767225602000));
    record.endedAt = fromEpoch(Millis(1767225603000));
    record.cause = EndCause::RemovedByUs;
    record.exitCode = 143;
    record.signal = 15;
    record.scriptStarted = true;
    record.reason = "why = that";
    return record;
}

TEST(LocalRecordTest, EveryStateIsReadAsItWasWritten) {
    for (const auto& record : {pendingRecord(), runningRecord(), endedRecord()}) {
        const auto read = parseRecord(kKey, formatRecord(record));

        ASSERT_TRUE(read.ok()) << formatRecord(record);
        EXPECT_EQ(*read, record);
    }
}

TEST(LocalRecordTest, AReasonCannotForgeAField) {
    auto record = endedRecord();
    record.reason = "x\nstate=pending\nend\n" + std::string(10'000, 'y');

    const auto read = parseRecord(kKey, formatRecord(record));

    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->state, LocalState::Ended);
    EXPECT_EQ(read->reason.find('\n'), std::string::npos);
}

TEST(LocalRecordTest, WhatIsNotExactlyARecordIsDamagedAndNamesTheJob) {
    const auto good = formatRecord(runningRecord());
    const auto without = [&good](const std::string& part) {
        auto text = good;
        const auto at = text.find(part);
        EXPECT_NE(at, std::string::npos) << part;
        return text.erase(at, part.size());
    };
    for (const auto& text :
         {std::string(), good + "id=17\n", good + "colour=red\n", good + "x\n", good + "\n",
          without("id=17\n"), without("pid=4711\n"), without("cause=none\n"),
          without("start_ticks=123456789\n"), without("17\n"), "ended_at=5\n" + good,
          good.substr(0, good.size() - 1), good + std::string(5000, 'x') + "\n"}) {
        const auto read = parseRecord(kKey, text);

        ASSERT_FALSE(read.ok()) << text;
        EXPECT_EQ(read.error().kind, ErrorKind::Permanent);
        EXPECT_NE(read.error().message.find("gb-test-1-1"), std::string::npos);
    }
}

TEST(LocalRecordTest, ValuesOutsideTheirTypeAreDamage) {
    const auto good = formatRecord(endedRecord());
    for (const auto& [from, to] : {std::pair{"pid=4711", "pid=-1"},
                                   {"pid=4711", "pid=99999999999"},
                                   {"id=17", "id=17x"},
                                   {"script_started=yes", "script_started=maybe"},
                                   {"state=ended", "state=Ended"},
                                   {"state=ended", "state=pending"},
                                   {"cause=removed_by_us", "cause=none"}}) {
        auto text = good;
        text.replace(text.find(from), std::string(from).size(), to);

        EXPECT_FALSE(parseRecord(kKey, text).ok()) << to;
    }
}

TEST(LocalRecordTest, InputsAreReadAsTheyWereWrittenWhateverTheyHold) {
    const std::vector<folder::StagedFile> files{
        {"job.sh", std::string("a\0\nnext 5\n\xff", 11)}, {"empty", ""}, {"b", "\nstate=x\nend\n"}};

    const auto read = parseInputs(kKey, formatInputs(files));

    ASSERT_TRUE(read.ok());
    ASSERT_EQ(read->size(), 3U);
    for (std::size_t i = 0; i < files.size(); ++i) {
        EXPECT_EQ(read->at(i).name, files[i].name);
        EXPECT_EQ(read->at(i).content, files[i].content);
    }
}

TEST(LocalRecordTest, DamagedInputsAreAnErrorAndNeverReadBeyondTheirEnd) {
    for (const char* text : {"job.sh 5\nabc", "job.sh\nabc", "job.sh x\nabc", "job.sh -1\nabc",
                             "\n", "job.sh 99999999999999999999\nabc", "job.sh 3"}) {
        EXPECT_FALSE(parseInputs(kKey, text).ok()) << text;
    }
}

}  // namespace
}  // namespace gridbridge
