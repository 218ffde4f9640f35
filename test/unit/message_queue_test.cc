#include "worker/replication/message_queue.h"

#include <doctest/doctest.h>

#include <initializer_list>

using pg_reconcile::worker::MessageQueue;

TEST_CASE("only whole transactions are complete") {
  MessageQueue queue;
  CHECK(queue.complete() == 0);
  CHECK_FALSE(queue.in_transaction());
  queue.push("B1");
  queue.push("I1");
  CHECK(queue.complete() == 0);
  CHECK(queue.in_transaction());
  queue.push("C1");
  CHECK(queue.complete() == 3);
  CHECK_FALSE(queue.in_transaction());
  queue.push("B2");
  CHECK(queue.complete() == 3);
  CHECK(queue.in_transaction());
}

TEST_CASE("dropping keeps the rest as it was") {
  MessageQueue queue;
  for (const char* message : {"B1", "Insert", "C1", "B2", "U2"}) queue.push(message);
  queue.drop(queue.complete());
  REQUIRE(queue.size() == 2);
  CHECK(queue[0] == "B2");
  CHECK(queue[1] == "U2");
  CHECK(queue.bytes() == 4);
  CHECK(queue.complete() == 0);
  CHECK(queue.in_transaction());
  queue.push("C2");
  CHECK(queue.complete() == 3);
  queue.drop(3);
  CHECK(queue.size() == 0);
  CHECK(queue.bytes() == 0);
}

TEST_CASE("a transaction that is taken in pieces still ends") {
  MessageQueue queue;
  queue.push("B1");
  queue.push("I1");
  queue.drop(2);
  CHECK(queue.in_transaction());
  queue.push("I2");
  queue.push("C1");
  CHECK(queue.complete() == 2);
  queue.drop(0);
  CHECK(queue.size() == 2);
}
