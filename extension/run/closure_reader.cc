#include "extension/run/closure_reader.h"

#include <algorithm>

#include "extension/pg/settings.h"

extern "C" {
#include <storage/itemptr.h>
#include <utils/date.h>
#include <utils/timestamp.h>
}

namespace pg_reconcile {
namespace {

using pg::Argument;

// Looking up an entry by its keys costs about as much as reading so many in a row.
constexpr std::int64_t entries_read_per_lookup = 200;
// So few are looked up whatever the day's size.
constexpr std::int64_t lookups_min = 1000;
// So many items carried in are kept with all their texts.
constexpr std::int64_t carried_rest_max = 100'000;

enum Column {
  book_column,
  source_id_column,
  source_key_column,
  order_key_column,
  match_key_column,
  channel_ref_column,
  kind_column,
  amount_column,
  currency_column,
  fee_column,
  fee_currency_column,
  occurred_at_column,
  more_column  // what a query returns beside
};

std::string entry_columns(const std::string& settlement_currency) {
  return "e.book, e.source_id, e.source_key, e.order_key, e.match_key, e.channel_ref, e.kind, "
         "trim_scale(e.amount)::text, e.currency, trim_scale(e.fee)::text, coalesce(" +
         settlement_currency + ", e.currency), e.occurred_at";
}

StoredEntry entry_at(const pg::Spi& spi, std::uint64_t row) {
  StoredEntry entry;
  entry.source_id = static_cast<std::int32_t>(spi.int8(row, source_id_column));
  entry.source_key = spi.text(row, source_key_column);
  entry.order_key = spi.text(row, order_key_column);
  entry.match_key = spi.text_or_null(row, match_key_column);
  entry.channel_ref = spi.text_or_null(row, channel_ref_column);
  entry.kind = spi.text(row, kind_column);
  entry.amount = exact_decimal(spi.text(row, amount_column));
  entry.currency = spi.text(row, currency_column);
  if (const auto fee = spi.text_or_null(row, fee_column)) entry.fee = exact_decimal(*fee);
  entry.fee_currency = spi.text(row, fee_currency_column);
  if (!spi.is_null(row, occurred_at_column)) {
    entry.occurred_at = DatumGetTimestampTz(spi.datum(row, occurred_at_column));
  }
  return entry;
}

EntryLocation location_at(const pg::Spi& spi, std::uint64_t row, int table, int tuple) {
  const auto* item = reinterpret_cast<ItemPointer>(DatumGetPointer(spi.datum(row, tuple)));
  return {DatumGetObjectId(spi.datum(row, table)),
          (static_cast<std::uint64_t>(ItemPointerGetBlockNumberNoCheck(item)) << 16) |
              ItemPointerGetOffsetNumberNoCheck(item)};
}

bool same_place(const EntryLocation& a, const EntryLocation& b) {
  return a.table == b.table && a.tuple == b.tuple;
}

Argument text_array(const std::set<std::string>& texts) {
  return Argument::text_array(std::vector<std::string>(texts.begin(), texts.end()));
}

// Entries of the day by location, those of earlier business dates apart: few, and in any month.
std::string late_entries(const std::string& scope) {
  return "WITH late AS MATERIALIZED (SELECT e.*, e.tableoid AS table_id, e.ctid AS tuple FROM "
         "reconcile.entry e WHERE" +
         scope + "AND e.recon_date <> e.business_date) ";
}

constexpr const char* is_closed = "coalesce(e.closed_by = 'match' AND e.closed_on = $4, false)";

std::int64_t entries_of(const RunDetail& detail) {
  std::int64_t entries = 0;
  for (const auto& [currency, f] : detail.currencies) entries += f.left_in.count + f.right_in.count;
  return entries;
}

}  // namespace

std::vector<Argument> item_arguments(const std::vector<ItemKey>& items) {
  std::vector<std::string> books;
  std::vector<std::int32_t> source_ids;
  std::vector<std::string> source_keys;
  for (const ItemKey& item : items) {
    books.push_back(item.book);
    source_ids.push_back(item.source_id);
    source_keys.push_back(item.source_key);
  }
  return {Argument::text_array(books), Argument::int4_array(source_ids), Argument::text_array(source_keys)};
}

ClosureReader::ClosureReader(pg::Spi& spi, const LegConfig& leg, core::Date day, const PriorRun& prior,
                             ChainChanges& chain)
    : spi_(spi),
      leg_(leg),
      day_(day),
      prior_(prior),
      chain_(chain),
      limit_(std::max(lookups_min, entries_of(*prior.detail) / entries_read_per_lookup)) {}

const std::vector<ClosureMember*>& ClosureReader::read() {
  read_changes();
  read_touched_items();
  read_stored_matches();
  read_decided();
  while (!waiting_.orders.empty() || !waiting_.match_keys.empty() || !waiting_.channel_refs.empty()) {
    look_up();
    require_bounded();
  }
  for (auto& [key, member] : members_) {
    if (!member.before && !member.after) continue;
    for (const auto* state : {&member.before, &member.after}) {
      if (*state) chain_.orders.insert((*state)->order_key);
    }
    chain_.items.insert(member.item);
    found_.push_back(&member);
  }
  const auto is_rule = [](const PassConfig& pass) { return !core::is_exact(pass.rule.kind); };
  if (std::any_of(leg_.passes.begin(), leg_.passes.end(), is_rule)) {
    read_rest();
    for (auto& [key, member] : members_) {
      if (member.rest) found_.push_back(&member);
    }
  }
  return found_;
}

std::vector<StoredMatch> ClosureReader::stored_matches() const {
  std::vector<StoredMatch> matches;
  for (const Stored& stored : stored_) {
    StoredMatch match{stored.pass, {}};
    for (const Place& place : stored.members) {
      std::vector<const ClosureMember*> found = members_of(place);
      std::erase_if(found, [](const ClosureMember* member) { return !member->before; });
      if (found.size() != 1) {
        throw FallBack{"entry \"" + place.item.source_key + "\", which run " + std::to_string(prior_.run_id) +
                       " matched, is not what it was"};
      }
      match.members.push_back(found[0]);
    }
    matches.push_back(std::move(match));
  }
  return matches;
}

std::vector<const ClosureMember*> ClosureReader::members_of(const Place& place) const {
  std::vector<const ClosureMember*> found;
  for (auto at = members_.lower_bound({place.carried, place.item, std::string()});
       at != members_.end() && std::get<0>(at->first) == place.carried &&
       std::get<1>(at->first) == place.item;
       ++at) {
    if (at->second.before || at->second.after) found.push_back(&at->second);
  }
  return found;
}

bool ClosureReader::has(const Place& place) const {
  return !members_of(place).empty();
}

void ClosureReader::require_bounded() const {
  if (static_cast<std::int64_t>(members_.size()) > limit_) {
    throw FallBack{"the changes since run " + std::to_string(prior_.run_id) + " touch more than " +
                   std::to_string(limit_) + " entries of " + date_text(day_)};
  }
}

ClosureMember& ClosureReader::member(bool carried, const ItemKey& item, const std::string& order_key) {
  ClosureMember& found = members_[{carried, item, order_key}];
  found.item = item;
  return found;
}

void ClosureReader::enqueue(const StoredEntry& entry) {
  if (!looked_up_.orders.contains(entry.order_key)) waiting_.orders.insert(entry.order_key);
  if (entry.match_key && !looked_up_.match_keys.contains(*entry.match_key)) {
    waiting_.match_keys.insert(*entry.match_key);
  }
  if (entry.channel_ref && !looked_up_.channel_refs.contains(*entry.channel_ref)) {
    waiting_.channel_refs.insert(*entry.channel_ref);
  }
}

// Of an entry that changed several times the first change says what the run before saw.
void ClosureReader::read_changes() {
  spi_.run(
      "SELECT c.old_book, c.source_id, c.source_key, c.order_key, c.old_match_key, c.old_channel_ref, "
      "c.old_kind, c.old_amount, c.old_currency, c.old_fee, c.old_fee_currency, c.old_occurred_at, "
      "c.of_the_day, c.is_named, c.book, c.old_prior_period, c.recon_date FROM ("
      "SELECT g.change_id, g.book, g.source_id, u.source_key, u.order_key, g.recon_date, "
      "g.recon_date = $3 AS of_the_day, g.order_keys IS NOT NULL AS is_named, o.book AS old_book, "
      "o.match_key AS old_match_key, o.channel_ref AS old_channel_ref, o.kind AS old_kind, "
      "trim_scale(o.amount)::text AS old_amount, o.currency AS old_currency, trim_scale(o.fee)::text AS "
      "old_fee, coalesce(o.settlement_currency, o.currency) AS old_fee_currency, o.occurred_at AS "
      "old_occurred_at, o.recon_date <> o.business_date AS old_prior_period "
      "FROM reconcile.entry_change g "
      "LEFT JOIN LATERAL unnest(g.order_keys, g.source_keys) AS u (order_key, source_key) ON true "
      "LEFT JOIN LATERAL jsonb_populate_record(NULL::reconcile.entry, g.old_entry) o ON g.old_entry IS "
      "NOT NULL "
      "WHERE g.channel = $1 AND g.account = $2 AND g.recon_date <= $3 AND g.book IN ($4, $5) "
      "AND g.cluster = reconcile.local_system_identifier() "
      "AND CASE WHEN g.xid = $7::xid8 THEN g.change_id > $8 "
      "ELSE NOT pg_visible_in_snapshot(g.xid, $6::pg_snapshot) END "
      "LIMIT $9) c ORDER BY c.change_id",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::date(day_),
       Argument::text(leg_.left_book), Argument::text(leg_.right_book), Argument::text(prior_.snapshot),
       Argument::text(prior_.detail->transaction), Argument::int8(prior_.detail->last_change),
       Argument::int8(2 * limit_ + 1)});
  enum { of_the_day = more_column, is_named, book, prior_period, recon_date };
  if (static_cast<std::int64_t>(spi_.rows()) > 2 * limit_) {
    throw FallBack{"more than " + std::to_string(2 * limit_) + " changes since run " +
                   std::to_string(prior_.run_id)};
  }
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    if (!spi_.boolean(row, is_named)) {
      throw FallBack{"which entries of " + date_text(static_cast<core::Date>(spi_.int8(row, recon_date))) +
                     " changed is not known: the day had not been run"};
    }
    const std::string order = spi_.text(row, order_key_column);
    chain_.orders.insert(order);
    if (!spi_.boolean(row, of_the_day) || spi_.is_null(row, source_key_column)) continue;
    waiting_.orders.insert(order);
    const ItemKey item{spi_.text(row, book), static_cast<std::int32_t>(spi_.int8(row, source_id_column)),
                       spi_.text(row, source_key_column)};
    ClosureMember& changed = member(false, item, order);
    if (changed.changed) continue;
    changed.changed = true;
    if (spi_.is_null(row, book_column)) continue;
    StoredEntry before = entry_at(spi_, row);
    before.prior_period = spi_.boolean(row, prior_period);
    if (std::find(leg_.kinds.begin(), leg_.kinds.end(), before.kind) == leg_.kinds.end()) continue;
    enqueue(before);
    changed.before = std::move(before);
  }
}

// Items that earlier days of the chain may have changed: those that are carried in as others than before.
void ClosureReader::read_touched_items() {
  if (chain_.items.empty()) return;
  std::vector<Argument> arguments =
      item_arguments(std::vector<ItemKey>(chain_.items.begin(), chain_.items.end()));
  arguments.insert(arguments.begin(), {Argument::text(leg_.channel), Argument::text(leg_.account),
                                       Argument::text(leg_.leg), Argument::date(day_)});
  const std::string query =
      "SELECT " + entry_columns("e.entry ->> 'settlement_currency'") + ", " + is_closed +
      ", md5(e.entry::text) "
      "FROM unnest($5, $6, $7) AS u (book, source_id, source_key) JOIN reconcile.open_item e "
      "ON e.channel = $1 AND e.account = $2 AND e.leg = $3 AND e.book = u.book AND e.source_id = u.source_id "
      "AND e.source_key = u.source_key "
      "WHERE e.opened_on < $4 AND (e.closed_on IS NULL OR e.closed_on >= $4)";
  struct Image {
    StoredEntry entry;
    bool closed;
    std::string digest;
  };
  const auto images = [&](bool as_they_were) {
    std::map<ItemKey, Image> found;
    // Under the snapshot itself nothing shows that this transaction wrote since.
    spi_.run(query, arguments, as_they_were);
    for (std::uint64_t row = 0; row < spi_.rows(); row++) {
      Image image{entry_at(spi_, row), spi_.boolean(row, more_column), spi_.text(row, more_column + 1)};
      image.entry.carried = true;
      found.emplace(ItemKey{spi_.text(row, book_column), image.entry.source_id, image.entry.source_key},
                    std::move(image));
    }
    return found;
  };
  const std::map<ItemKey, Image> before = images(true);
  const std::map<ItemKey, Image> after = images(false);
  for (const auto& [item, image] : before) closed_before_[item] = image.closed;
  for (const ItemKey& item : chain_.items) {
    const auto was = before.find(item);
    const auto is = after.find(item);
    const bool was_there = was != before.end();
    const bool is_there = is != after.end();
    if (was_there == is_there && (!was_there || was->second.digest == is->second.digest)) continue;
    if (was_there) {
      ClosureMember& changed = member(true, item, was->second.entry.order_key);
      changed.changed = true;
      changed.closed_before = was->second.closed;
      changed.before = was->second.entry;
      enqueue(was->second.entry);
    }
    if (is_there) {
      ClosureMember& changed = member(true, item, is->second.entry.order_key);
      changed.changed = true;
      changed.after = is->second.entry;
      enqueue(is->second.entry);
    }
  }
}

void ClosureReader::look_up() {
  // An entry is found by its match key where that is its order key, too.
  std::set<std::string> orders = waiting_.orders;
  orders.insert(waiting_.match_keys.begin(), waiting_.match_keys.end());
  std::vector<Argument> arguments = day_arguments();
  for (const Argument& argument :
       {text_array(orders), text_array(waiting_.match_keys), text_array(waiting_.channel_refs)}) {
    arguments.push_back(argument);
  }
  looked_up_.orders.insert(orders.begin(), orders.end());
  looked_up_.match_keys.merge(waiting_.match_keys);
  looked_up_.channel_refs.merge(waiting_.channel_refs);
  waiting_ = {};
  look_up_entries(arguments);
  look_up_items(arguments);
}

std::string ClosureReader::scope() const {
  return " e.channel = $1 AND e.account = $2 AND e.book = ANY ($5) AND e.recon_date = $4 AND e.kind = ANY "
         "($6) AND e.effective ";
}

std::vector<Argument> ClosureReader::day_arguments() const {
  return {Argument::text(leg_.channel),
          Argument::text(leg_.account),
          Argument::text(leg_.leg),
          Argument::date(day_),
          Argument::text_array(std::vector<std::string>{leg_.left_book, leg_.right_book}),
          Argument::text_array(leg_.kinds)};
}

void ClosureReader::look_up_entries(const std::vector<Argument>& arguments) {
  const std::string columns = entry_columns("e.settlement_currency");
  const auto of_the_day = [&](const char* keys, const char* condition) {
    return std::string("SELECT l.* FROM unnest(") + keys + ") AS k (key) CROSS JOIN LATERAL (SELECT " +
           columns + ", e.tableoid, e.ctid, false FROM reconcile.entry e WHERE " + condition + " AND" +
           scope() + "AND e.business_date = $4 OFFSET 0) l ";
  };
  // One entry at a time, by its index: the planner must not take the day's block ranges for a shorter way.
  const pg::LocalSetting no_sequence("enable_seqscan", "off");
  const pg::LocalSetting no_bitmap("enable_bitmapscan", "off");
  spi_.run(late_entries(scope()) + of_the_day("$7", "e.order_key = k.key") + "UNION ALL " +
               of_the_day("$8", "e.match_key = k.key AND e.match_key <> e.order_key") + "UNION ALL " +
               of_the_day("$9", "e.channel_ref = k.key AND e.channel_ref IS NOT NULL") + "UNION ALL SELECT " +
               columns +
               ", e.table_id, e.tuple, true FROM late e "
               "WHERE e.order_key = ANY ($7) OR e.match_key = ANY ($8) OR e.channel_ref = ANY ($9)",
           arguments);
  take_entries();
}

void ClosureReader::take_entries() {
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    StoredEntry entry = entry_at(spi_, row);
    entry.location = location_at(spi_, row, more_column, more_column + 1);
    entry.prior_period = spi_.boolean(row, more_column + 2);
    const ItemKey item{spi_.text(row, book_column), entry.source_id, entry.source_key};
    ClosureMember& found = member(false, item, entry.order_key);
    if (found.after && same_place(found.after->location, entry.location)) continue;
    if (found.after) {
      throw FallBack{"source " + std::to_string(item.source_id) + " has two entries under the key \"" +
                     item.source_key + "\""};
    }
    enqueue(entry);
    if (!found.changed) found.before = entry;
    found.after = std::move(entry);
  }
}

void ClosureReader::look_up_items(const std::vector<Argument>& arguments) {
  spi_.run("SELECT " + entry_columns("e.entry ->> 'settlement_currency'") + ", " + is_closed +
               " FROM reconcile.open_item e "
               "WHERE e.channel = $1 AND e.account = $2 AND e.leg = $3 AND e.book = ANY ($5) "
               "AND e.opened_on < $4 AND (e.closed_on IS NULL OR e.closed_on >= $4) "
               "AND (e.order_key = ANY ($7) OR e.match_key = ANY ($8) OR e.channel_ref = ANY ($9))",
           arguments);
  take_items();
}

void ClosureReader::take_items() {
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    StoredEntry entry = entry_at(spi_, row);
    entry.carried = true;
    const ItemKey item{spi_.text(row, book_column), entry.source_id, entry.source_key};
    ClosureMember& found = member(true, item, entry.order_key);
    if (found.before || found.after) continue;
    const auto touched = closed_before_.find(item);
    found.closed_before = touched != closed_before_.end() ? touched->second : spi_.boolean(row, more_column);
    enqueue(entry);
    found.before = entry;
    found.after = std::move(entry);
  }
}

// Entries of the day by their names.
void ClosureReader::run_for_names(const std::vector<ItemKey>& items) {
  std::vector<Argument> arguments = day_arguments();
  for (const Argument& argument : item_arguments(items)) arguments.push_back(argument);
  const std::string columns = entry_columns("e.settlement_currency");
  const pg::LocalSetting no_sequence("enable_seqscan", "off");
  const pg::LocalSetting no_bitmap("enable_bitmapscan", "off");
  spi_.run(late_entries(scope()) +
               "SELECT l.* FROM unnest($7, $8, $9) AS k (book, source_id, source_key) CROSS JOIN LATERAL "
               "(SELECT " +
               columns +
               ", e.tableoid, e.ctid, false FROM reconcile.entry e WHERE e.book = k.book AND e.source_id = "
               "k.source_id AND e.source_key = k.source_key AND" +
               scope() + "AND e.business_date = $4 OFFSET 0) l UNION ALL SELECT " + columns +
               ", e.table_id, e.tuple, true FROM late e JOIN unnest($7, $8, $9) AS k (book, source_id, "
               "source_key) ON e.book = k.book AND e.source_id = k.source_id AND e.source_key = k.source_key",
           arguments);
}

// As members of the closure: what hangs together with them is looked up in turn.
void ClosureReader::look_up_named(const std::vector<ItemKey>& items) {
  if (items.empty()) return;
  run_for_names(items);
  take_entries();
  std::vector<Argument> arguments = day_arguments();
  for (const Argument& argument : item_arguments(items)) arguments.push_back(argument);
  spi_.run("SELECT " + entry_columns("e.entry ->> 'settlement_currency'") + ", " + is_closed +
               " FROM unnest($7, $8, $9) AS k (book, source_id, source_key) JOIN reconcile.open_item e "
               "ON e.channel = $1 AND e.account = $2 AND e.leg = $3 AND e.book = k.book AND e.source_id = "
               "k.source_id AND e.source_key = k.source_key WHERE e.book = ANY ($5) AND e.opened_on < $4 "
               "AND (e.closed_on IS NULL OR e.closed_on >= $4)",
           arguments);
  take_items();
}

// What the run before matched by configured rules and decisions.
void ClosureReader::read_stored_matches() {
  std::vector<std::int32_t> passes{0};
  for (const PassConfig& pass : leg_.passes) {
    if (!core::is_exact(pass.rule.kind)) passes.push_back(pass.pass);
  }
  spi_.run(
      "SELECT g.group_id, g.pass, i.book, i.source_id, i.source_key, o.source_key IS NOT NULL "
      "FROM reconcile.match_group g JOIN reconcile.match_item i ON i.group_id = g.group_id "
      "LEFT JOIN reconcile.open_item o ON o.channel = i.channel AND o.account = i.account AND o.leg = i.leg "
      "AND o.book = i.book AND o.source_id = i.source_id AND o.source_key = i.source_key AND o.opened_on < "
      "$4 "
      "WHERE g.channel = $1 AND g.account = $2 AND g.leg = $3 AND g.business_date = $4 AND g.pass = ANY ($5) "
      "ORDER BY g.group_id",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
       Argument::date(day_), Argument::int4_array(passes)},
      true);
  std::int64_t group = 0;
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    if (stored_.empty() || group != spi_.int8(row, 0)) {
      stored_.push_back({static_cast<int>(spi_.int8(row, 1)), {}});
    }
    group = spi_.int8(row, 0);
    stored_.back().members.push_back(
        {spi_.boolean(row, 5),
         {spi_.text(row, 2), static_cast<std::int32_t>(spi_.int8(row, 3)), spi_.text(row, 4)}});
  }
}

// What people have confirmed comes before every pass, and takes its entries out of them.
void ClosureReader::read_decided() {
  std::vector<ItemKey> items;
  for (const Stored& match : stored_) {
    if (match.pass != 0) continue;
    for (const Place& place : match.members) items.push_back(place.item);
  }
  // As the chain stands now: of those that an earlier day has made no use of.
  spi_.run(
      "SELECT m.e ->> 'book', (m.e ->> 'source_id')::integer, m.e ->> 'source_key' "
      "FROM reconcile.standing_decisions($1, $2, $3, $4) d "
      "CROSS JOIN LATERAL jsonb_array_elements(d.left_entries || d.right_entries) AS m (e) "
      "WHERE d.decision = 'confirmed' AND NOT EXISTS (SELECT FROM reconcile.match_group g "
      "WHERE g.decision_id = d.decision_id AND g.business_date < $4)",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
       Argument::date(day_)});
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    items.push_back({spi_.text(row, 0), static_cast<std::int32_t>(spi_.int8(row, 1)), spi_.text(row, 2)});
  }
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  look_up_named(items);
}

// Names of the day's own entries that the exact passes left, and nothing has changed about.
std::vector<ItemKey> ClosureReader::rest_of_the_day() {
  std::vector<ItemKey> items;
  for (const Stored& match : stored_) {
    for (const Place& place : match.members) {
      if (!place.carried && !has(place)) items.push_back(place.item);
    }
  }
  spi_.run(
      "SELECT o.book, o.source_id, o.source_key FROM reconcile.open_item o WHERE o.channel = $1 "
      "AND o.account = $2 AND o.leg = $3 AND o.opened_on = $4 AND o.book = ANY ($5)",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
       Argument::date(day_), Argument::text_array(std::vector<std::string>{leg_.left_book, leg_.right_book})},
      true);
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    Place place{false, {spi_.text(row, 0), static_cast<std::int32_t>(spi_.int8(row, 1)), spi_.text(row, 2)}};
    if (!has(place)) items.push_back(std::move(place.item));
  }
  return items;
}

void ClosureReader::read_rest() {
  const std::vector<ItemKey> items = rest_of_the_day();
  if (static_cast<std::int64_t>(items.size()) > limit_) {
    throw FallBack{"the rules look at more than " + std::to_string(limit_) + " entries of " +
                   date_text(day_)};
  }
  if (!items.empty()) {
    run_for_names(items);
    if (spi_.rows() != items.size()) {
      throw FallBack{"entries that run " + std::to_string(prior_.run_id) + " left are not what they were"};
    }
    for (std::uint64_t row = 0; row < spi_.rows(); row++) {
      StoredEntry entry = entry_at(spi_, row);
      entry.location = location_at(spi_, row, more_column, more_column + 1);
      entry.prior_period = spi_.boolean(row, more_column + 2);
      ClosureMember& found =
          member(false, {spi_.text(row, book_column), entry.source_id, entry.source_key}, entry.order_key);
      found.rest = true;
      found.before = entry;
      found.after = std::move(entry);
    }
  }
  read_carried_rest();
}

void ClosureReader::read_carried_rest() {
  std::set<ItemKey> matched;
  for (const Stored& match : stored_) {
    for (const Place& place : match.members) {
      if (place.carried) matched.insert(place.item);
    }
  }
  spi_.run(
      "SELECT " + entry_columns("e.entry ->> 'settlement_currency'") + ", " + is_closed +
          " FROM reconcile.open_item e WHERE e.channel = $1 AND e.account = $2 AND e.leg = $3 "
          "AND e.book = ANY ($5) AND e.opened_on < $4 AND (e.closed_on IS NULL OR e.closed_on >= $4) "
          "LIMIT $6",
      {Argument::text(leg_.channel), Argument::text(leg_.account), Argument::text(leg_.leg),
       Argument::date(day_), Argument::text_array(std::vector<std::string>{leg_.left_book, leg_.right_book}),
       Argument::int8(carried_rest_max + 1)},
      true);
  if (static_cast<std::int64_t>(spi_.rows()) > carried_rest_max) {
    throw FallBack{"the rules look at more than " + std::to_string(carried_rest_max) +
                   " items carried into " + date_text(day_)};
  }
  for (std::uint64_t row = 0; row < spi_.rows(); row++) {
    StoredEntry entry = entry_at(spi_, row);
    entry.carried = true;
    Place place{true, {spi_.text(row, book_column), entry.source_id, entry.source_key}};
    const bool closed = spi_.boolean(row, more_column);
    // What an exact pass has closed is none of the rules' business.
    if (has(place) || (closed && !matched.contains(place.item))) continue;
    ClosureMember& found = member(true, place.item, entry.order_key);
    found.rest = true;
    found.closed_before = closed;
    found.before = entry;
    found.after = std::move(entry);
  }
}

}  // namespace pg_reconcile
