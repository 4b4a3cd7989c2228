#include <gmock/gmock.h>

#include <set>
#include <sys/stat.h>

#include "bridge/store/SealingKey.h"
#include "tests/unit/store/StoreFixture.h"

namespace gridbridge::store {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SealingKeyTest : public StoreFixture {
protected:
    std::string payloadError(JobRow row) {
        const auto payload = store_->payload(row);
        return payload.ok() ? "opened" : payload.error().message;
    }
    void change(JobRow row) {
        person().exec("UPDATE job_secret SET payload = zeroblob(200) WHERE job = " +
                      std::to_string(static_cast<std::int64_t>(row)));
    }
    std::string openError() {
        try {
            reopen();
        } catch (const StoreError& error) {
            return error.what();
        }
        return "opened";
    }
    std::filesystem::path key() const { return folder() / "secret.key"; }
};

TEST_F(SealingKeyTest, ASealedBodyIsNowhereInTheFilesOfTheDatabase) {
    const std::string secret = "glcbt-64_planted-token-0123456789";
    const auto row = receive("{\"token\":\"" + secret + "\"}");
    auto job = loaded(row);
    job.project = "planted-project";
    ASSERT_TRUE(commit(job));
    const auto bytes = [&] {
        return contentOf(file()) + contentOf(file().string() + "-wal") +
               contentOf(file().string() + "-shm");
    };

    const auto running = bytes();
    store_.reset();
    const auto stopped = bytes();

    for (const auto& content : {running, stopped}) {
        EXPECT_THAT(content, HasSubstr("planted-project")) << "the search would find it";
        EXPECT_THAT(content, Not(HasSubstr(secret)));
        EXPECT_THAT(content, Not(HasSubstr(secret.substr(9, 12))));
    }
    reopen();
    EXPECT_THAT(store_->payload(row).value().reveal(), HasSubstr(secret));
}

TEST_F(SealingKeyTest, TheSameBodyIsNeverSealedToTheSameBytes) {
    const auto key = SealingKey::create(folder() / "other.key");
    std::set<std::string> sealed;
    for (int i = 0; i < 100; ++i) {
        sealed.insert(key.seal(JobRow{1}, Secret("body")).substr(0, 12));
    }
    EXPECT_EQ(sealed.size(), 100U) << "a nonce used twice breaks AES-GCM";
}

TEST_F(SealingKeyTest, SealsEveryLengthAndAnotherProcessOpensIt) {
    const auto made = SealingKey::create(folder() / "other.key");
    const auto read = SealingKey::read(folder() / "other.key");
    for (const std::size_t length : {0U, 1U, 15U, 16U, 17U, 5000000U}) {
        const Secret secret{std::string(length, 'x')};
        EXPECT_EQ(read.open(JobRow{1}, made.seal(JobRow{1}, secret)).value(), secret);
    }
}

TEST_F(SealingKeyTest, AnotherKeyIsRefusedAtTheStartAndTheErrorNamesTheJobRow) {
    receive("body");
    store_.reset();
    std::filesystem::rename(key(), folder() / "elsewhere");
    SealingKey::create(key());

    EXPECT_THAT(openError(), AllOf(HasSubstr("job row 1 "), HasSubstr("secret.key")));

    std::filesystem::rename(folder() / "elsewhere", key());
    EXPECT_EQ(openError(), "opened");
}

TEST_F(SealingKeyTest, EveryTamperedByteIsNoticed) {
    const auto key = SealingKey::create(folder() / "other.key");
    const auto sealed = key.seal(JobRow{1}, Secret("body"));
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto tampered = sealed;
        tampered[i] = static_cast<char>(tampered[i] ^ 1);
        EXPECT_FALSE(key.open(JobRow{1}, tampered).ok()) << "byte " << i;
        EXPECT_FALSE(key.open(JobRow{1}, sealed.substr(0, i)).ok()) << "length " << i;
    }
}

TEST_F(SealingKeyTest, ASealedBodyMovedToAnotherJobIsNoticed) {
    const auto a = receive("a");
    const auto b = receive("b");
    {
        auto person = this->person();
        person.exec(
            "UPDATE job_secret SET payload = (SELECT payload FROM job_secret WHERE job = 1)"
            " WHERE job = 2");
    }

    EXPECT_THAT(payloadError(b), HasSubstr("job row 2 "));
    EXPECT_EQ(store_->payload(a).value().reveal(), "a");
}

TEST_F(SealingKeyTest, OneRowThatDoesNotOpenIsNoWrongKeyAndIsNamed) {
    std::vector<JobRow> rows;
    for (const char* body : {"a", "b", "c"}) {
        rows.push_back(receive(body));
    }
    change(rows[0]);
    change(rows[1]);

    EXPECT_EQ(openError(), "opened");
    EXPECT_EQ(store_->payload(rows[2]).value().reveal(), "c");
    JobReader reader(folder());
    const auto unopened = reader.proveKey();
    ASSERT_EQ(unopened.size(), 2U);
    EXPECT_EQ(unopened[0].row, rows[0]);
    EXPECT_EQ(unopened[1].row, rows[1]);
    ASSERT_TRUE(move(rows[1], State::Done));
    EXPECT_EQ(reader.proveKey().size(), 1U) << "nothing is owed for what has ended";

    change(rows[2]);
    EXPECT_THAT(openError(), HasSubstr("job row 1 ")) << "it opens none";
    EXPECT_THROW(reader.proveKey(), StoreError);
}

TEST_F(SealingKeyTest, AKeyThatOthersCanReadIsRefusedWithTheCure) {
    receive();
    for (const mode_t mode : {0640U, 0604U, 0660U, 0601U}) {
        store_.reset();
        ASSERT_EQ(::chmod(key().c_str(), mode), 0);
        EXPECT_THAT(openError(), HasSubstr("chmod 600 " + key().string())) << mode;
    }
    ASSERT_EQ(::chmod(key().c_str(), 0600), 0);
    EXPECT_EQ(openError(), "opened");
}

TEST_F(SealingKeyTest, ALostKeyIsNotReplacedWhileSecretsNeedIt) {
    const auto row = receive("body");
    store_.reset();
    std::filesystem::rename(key(), folder() / "elsewhere");

    EXPECT_THAT(openError(), HasSubstr("secret.key is missing"));

    EXPECT_FALSE(std::filesystem::exists(key()));
    std::filesystem::rename(folder() / "elsewhere", key());
    reopen();
    EXPECT_EQ(store_->payload(row).value().reveal(), "body");
}

TEST_F(SealingKeyTest, AKeyOfAnotherLengthOrKindIsRefused) {
    for (const std::size_t length : {0U, 31U, 33U}) {
        store_.reset();
        write(key(), std::string(length, 'k'));
        EXPECT_THAT(openError(), HasSubstr("not a key of 32 bytes")) << length;
    }
    std::filesystem::remove(key());
    std::filesystem::create_symlink("/dev/zero", key());
    EXPECT_THAT(openError(), HasSubstr("secret.key"));
}

TEST_F(SealingKeyTest, AKeyHalfWrittenByAKilledFirstStartDoesNotStopTheNext) {
    store_.reset();
    std::filesystem::remove(key());
    write(key().string() + ".new", "half");

    EXPECT_EQ(openError(), "opened");
    EXPECT_FALSE(std::filesystem::exists(key().string() + ".new"));
}

}  // namespace
}  // namespace gridbridge::store
