#include "core/protocol/pgoutput.h"

#include <doctest/doctest.h>

#include <string>
#include <variant>

#include "core/error.h"
#include "core/protocol/replicated_table.h"
#include "core/protocol/replication_frame.h"

using namespace pg_reconcile::core;
using namespace pg_reconcile::core::pgoutput;

namespace {

// Writes messages as a server does.
class Wire {
 public:
  explicit Wire(char type) { bytes_.push_back(type); }
  Wire& u8(unsigned v) { return big(v, 1); }
  Wire& u16(unsigned v) { return big(v, 2); }
  Wire& u32(std::uint64_t v) { return big(v, 4); }
  Wire& u64(std::uint64_t v) { return big(v, 8); }
  Wire& text(const std::string& s) {
    bytes_ += s;
    bytes_.push_back('\0');
    return *this;
  }
  Wire& raw(const std::string& s) {
    bytes_ += s;
    return *this;
  }
  Wire& value(const std::string& s) { return raw("t").u32(s.size()).raw(s); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  Wire& big(std::uint64_t v, int count) {
    for (int i = count - 1; i >= 0; i--) bytes_.push_back(static_cast<char>((v >> (8 * i)) & 0xff));
    return *this;
  }
  std::string bytes_;
};

std::string payments_relation() {
  return Wire('R')
      .u32(16385)
      .text("public")
      .text("payments")
      .raw("d")
      .u16(3)
      .u8(1)
      .text("id")
      .u32(20)
      .u32(0xffffffff)
      .u8(0)
      .text("amount")
      .u32(1700)
      .u32(0xffffffff)
      .u8(0)
      .text("note")
      .u32(25)
      .u32(0xffffffff)
      .bytes();
}

std::string sql_state_of(const std::string& message) {
  Decoder decoder;
  try {
    decoder.decode(message);
  } catch (const Error& e) {
    return e.state();
  }
  return "";
}

}  // namespace

TEST_CASE("a transaction's frame") {
  Decoder decoder;
  const auto begin = std::get<Begin>(decoder.decode(Wire('B').u64(0x1000).u64(77).u32(750).bytes()));
  CHECK(begin.commit_lsn == 0x1000);
  CHECK(begin.commit_time == 77);
  CHECK(begin.xid == 750);
  const auto commit =
      std::get<Commit>(decoder.decode(Wire('C').u8(0).u64(0x1000).u64(0x1030).u64(77).bytes()));
  CHECK(commit.commit_lsn == 0x1000);
  CHECK(commit.end_lsn == 0x1030);
  CHECK(commit.commit_time == 77);
}

TEST_CASE("a relation") {
  Decoder decoder;
  const std::string bytes = payments_relation();
  const auto relation = std::get<Relation>(decoder.decode(bytes));
  CHECK(relation.id == 16385);
  CHECK(relation.schema == "public");
  CHECK(relation.name == "payments");
  CHECK(relation.replica_identity == 'd');
  REQUIRE(relation.columns.size() == 3);
  CHECK(relation.columns[0].is_key);
  CHECK(relation.columns[0].type_modifier == -1);
  CHECK_FALSE(relation.columns[2].is_key);
  CHECK(relation.columns[2].name == "note");
}

TEST_CASE("row changes") {
  Decoder decoder;
  SUBCASE("insert with a NULL") {
    const std::string bytes = Wire('I').u32(1).raw("N").u16(3).value("7").value("1.50").raw("n").bytes();
    const auto insert = std::get<Insert>(decoder.decode(bytes));
    REQUIRE(insert.row.size() == 3);
    CHECK(insert.row[0].text == "7");
    CHECK(insert.row[1].text == "1.50");
    CHECK(insert.row[2].kind == ValueKind::null);
  }
  SUBCASE("update without an old row") {
    const auto update =
        std::get<Update>(decoder.decode(Wire('U').u32(1).raw("N").u16(2).value("7").raw("u").bytes()));
    CHECK(update.old_kind == OldTuple::none);
    CHECK(update.old_row.empty());
    CHECK(update.row[1].kind == ValueKind::unchanged);
  }
  SUBCASE("update that changes the key") {
    const std::string bytes =
        Wire('U').u32(1).raw("K").u16(2).value("7").raw("n").raw("N").u16(2).value("8").value("x").bytes();
    const auto update = std::get<Update>(decoder.decode(bytes));
    CHECK(update.old_kind == OldTuple::key);
    CHECK(update.old_row[0].text == "7");
    CHECK(update.row[0].text == "8");
  }
  SUBCASE("update and delete with the full old row") {
    const std::string bytes = Wire('U').u32(1).raw("O").u16(1).value("7").raw("N").u16(1).value("8").bytes();
    CHECK(std::get<Update>(decoder.decode(bytes)).old_kind == OldTuple::full);
    const std::string removal_bytes = Wire('D').u32(1).raw("O").u16(1).value("7").bytes();
    const auto removal = std::get<Delete>(decoder.decode(removal_bytes));
    CHECK(removal.old_kind == OldTuple::full);
    CHECK(removal.old_row[0].text == "7");
  }
  SUBCASE("truncate of two tables") {
    const auto truncate = std::get<Truncate>(decoder.decode(Wire('T').u32(2).u8(1).u32(5).u32(6).bytes()));
    CHECK(truncate.cascade);
    CHECK_FALSE(truncate.restart_identity);
    REQUIRE(truncate.relations.size() == 2);
    CHECK(truncate.relations[1] == 6);
  }
}

TEST_CASE("what a payments stream seldom has") {
  Decoder decoder;
  CHECK(std::get<Origin>(decoder.decode(Wire('O').u64(9).text("node").bytes())).name == "node");
  CHECK(std::get<Type>(decoder.decode(Wire('Y').u32(9).text("public").text("money2").bytes())).name ==
        "money2");
  const std::string message_bytes = Wire('M').u8(1).u64(3).text("p").u32(2).raw("hi").bytes();
  const auto message = std::get<LogicalMessage>(decoder.decode(message_bytes));
  CHECK(message.transactional);
  CHECK(message.content == "hi");
}

TEST_CASE("every cut of every message is a protocol violation, never a crash") {
  const std::string messages[] = {
      Wire('B').u64(1).u64(2).u32(3).bytes(),
      Wire('C').u8(0).u64(1).u64(2).u64(3).bytes(),
      payments_relation(),
      Wire('U').u32(1).raw("K").u16(2).value("7").raw("n").raw("N").u16(2).value("8").value("x").bytes(),
      Wire('D').u32(1).raw("K").u16(1).value("7").bytes(),
      Wire('T').u32(2).u8(1).u32(5).u32(6).bytes(),
      Wire('M').u8(1).u64(3).text("p").u32(2).raw("hi").bytes(),
  };
  for (const std::string& whole : messages) {
    REQUIRE(sql_state_of(whole).empty());
    for (std::size_t length = 0; length < whole.size(); length++) {
      CHECK(sql_state_of(whole.substr(0, length)) == "08P01");
    }
    CHECK(sql_state_of(whole + "x") == "08P01");
  }
}

TEST_CASE("lies are refused") {
  CHECK(sql_state_of("") == "08P01");
  CHECK(sql_state_of("Z") == "08P01");
  CHECK(sql_state_of(Wire('C').u8(1).u64(1).u64(2).u64(3).bytes()) == "08P01");
  CHECK(sql_state_of(Wire('I').u32(1).raw("N").u16(65535).bytes()) == "08P01");
  CHECK(sql_state_of(Wire('I').u32(1).raw("N").u16(1).raw("t").u32(0xffffffff).raw("x").bytes()) == "08P01");
  CHECK(sql_state_of(Wire('I').u32(1).raw("N").u16(1).raw("b").u32(1).raw("x").bytes()) == "08P01");
  CHECK(sql_state_of(Wire('I').u32(1).raw("K").u16(0).bytes()) == "08P01");
  CHECK(sql_state_of(Wire('T').u32(0x40000000).u8(0).u32(1).bytes()) == "08P01");
}

TEST_CASE("replication frames") {
  const std::string data = Wire('w').u64(16).u64(32).u64(5).raw("payload").bytes();
  const ReplicationFrame frame = decode_replication_frame(data);
  CHECK(std::get<XLogData>(frame).start == 16);
  CHECK(std::get<XLogData>(frame).end == 32);
  CHECK(std::get<XLogData>(frame).payload == "payload");
  const ReplicationFrame alive = decode_replication_frame(Wire('k').u64(64).u64(5).u8(1).bytes());
  CHECK(std::get<Keepalive>(alive).end == 64);
  CHECK(std::get<Keepalive>(alive).reply_requested);
  CHECK_THROWS_AS(decode_replication_frame(Wire('k').u64(64).u64(5).bytes()), Error);
  CHECK_THROWS_AS(decode_replication_frame("x"), Error);
  CHECK_THROWS_AS(decode_replication_frame(""), Error);

  const auto status = encode_status_update(0x0102030405060708, 0x10, 0x20, true);
  CHECK(std::string(status.data(), status.size()) ==
        Wire('r').u64(0x0102030405060708).u64(0x10).u64(0x10).u64(0x20).u8(1).bytes());
}

TEST_CASE("a stream's table yields keys and records") {
  Decoder describing;
  const std::string description = payments_relation();
  const auto relation = std::get<Relation>(describing.decode(description));
  ReplicatedTable table("public.payments", relation, {"id"}, {"id", "amount"});
  Decoder decoder;

  SUBCASE("an insert") {
    const std::string bytes = Wire('I').u32(1).raw("N").u16(3).value("7").value("1.50").raw("n").bytes();
    const auto insert = std::get<Insert>(decoder.decode(bytes));
    CHECK(table.source_key(insert.row) == "public.payments/7");
    const RawRecord record = table.record(insert.row);
    std::size_t hint = 0;
    CHECK(record.find("amount", hint)->value == "1.50");
    CHECK_FALSE(record.find("note", hint)->value.has_value());
  }
  SUBCASE("an unchanged long value that is not mapped is left out") {
    const std::string bytes = Wire('U').u32(1).raw("N").u16(3).value("7").value("2").raw("u").bytes();
    const auto update = std::get<Update>(decoder.decode(bytes));
    std::size_t hint = 0;
    CHECK(table.record(update.row, update.old_kind, update.old_row).find("note", hint) == nullptr);
  }
  SUBCASE("an unchanged long value that is mapped comes from the full old row") {
    const std::string bytes = Wire('U')
                                  .u32(1)
                                  .raw("O")
                                  .u16(3)
                                  .value("7")
                                  .value("1")
                                  .raw("n")
                                  .raw("N")
                                  .u16(3)
                                  .value("7")
                                  .raw("u")
                                  .raw("n")
                                  .bytes();
    const auto update = std::get<Update>(decoder.decode(bytes));
    std::size_t hint = 0;
    CHECK(table.record(update.row, update.old_kind, update.old_row).find("amount", hint)->value == "1");
  }
  SUBCASE("and without it is an error that names the column") {
    const std::string bytes = Wire('U').u32(1).raw("N").u16(3).value("7").raw("u").raw("n").bytes();
    const auto update = std::get<Update>(decoder.decode(bytes));
    CHECK_THROWS_WITH_AS(table.record(update.row, update.old_kind, update.old_row),
                         "an update of table public.payments came without the value of column \"amount\"",
                         Error);
  }
  SUBCASE("a row of another width is a protocol violation") {
    const std::string bytes = Wire('I').u32(1).raw("N").u16(1).value("7").bytes();
    const auto insert = std::get<Insert>(decoder.decode(bytes));
    CHECK_THROWS_AS(static_cast<void>(table.source_key(insert.row)), Error);
    CHECK_THROWS_AS(table.record(insert.row), Error);
  }
  SUBCASE("a column that disappears is an error with its name") {
    CHECK_THROWS_WITH_AS(ReplicatedTable("public.payments", relation, {"id"}, {"paid_at"}),
                         "table public.payments no longer sends column \"paid_at\"", Error);
  }
  SUBCASE("a key outside the replica identity is refused") {
    CHECK_THROWS_WITH_AS(ReplicatedTable("public.payments", relation, {"amount"}, {}),
                         "key column \"amount\" of table public.payments is not part of its replica identity",
                         Error);
  }
}

TEST_CASE("source keys never look alike") {
  CHECK(replication_source_key("s.t", {"a", "b"}) == "s.t/a,b");
  CHECK(replication_source_key("s.t", {"a,b"}) == "s.t/a%2Cb");
  CHECK(replication_source_key("s.t", {"50%#1"}) == "s.t/50%25%231");
}
