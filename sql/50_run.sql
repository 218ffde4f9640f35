-- Runs and what they find: proof, open items, matches that can't be derived, discrepancies, day close.

CREATE TABLE reconcile.run (
  run_id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel          text NOT NULL,
  account          text NOT NULL,
  leg              text NOT NULL,
  business_date    date NOT NULL,
  state            text NOT NULL CHECK (state IN ('waiting', 'waited', 'succeeded', 'failed')),
  method           text NOT NULL,
  dry_run          boolean NOT NULL DEFAULT false,
  forced           boolean NOT NULL DEFAULT false,
  current          boolean NOT NULL DEFAULT false,
  waiting_for      text,
  failure          text,
  requested_by     name NOT NULL DEFAULT session_user,
  started_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at      timestamptz,
  snapshot         pg_snapshot,
  cluster          bigint DEFAULT reconcile.local_system_identifier(),
  positions        jsonb,
  rules            jsonb,
  left_entries     bigint,
  right_entries    bigint,
  matched_pairs    bigint,
  matched_groups   bigint,
  in_transit       bigint,
  discrepancies_new     bigint,
  discrepancies_cleared bigint,
  discrepancies_open    bigint,
  digest           text,
  proof            jsonb,
  proof_difference numeric,
  timings          jsonb,
  batch_reason     text,
  detail           jsonb
);
CREATE INDEX run_day ON reconcile.run (channel, account, leg, business_date, run_id);
CREATE UNIQUE INDEX run_waiting ON reconcile.run (channel, account, leg, business_date) WHERE state = 'waiting';
CREATE UNIQUE INDEX run_current ON reconcile.run (channel, account, leg, business_date) WHERE current;
COMMENT ON TABLE reconcile.run IS 'One reconciliation of a leg, account and day';
COMMENT ON COLUMN reconcile.run.run_id IS 'The run';
COMMENT ON COLUMN reconcile.run.channel IS 'The channel';
COMMENT ON COLUMN reconcile.run.account IS 'The account';
COMMENT ON COLUMN reconcile.run.leg IS 'The leg';
COMMENT ON COLUMN reconcile.run.business_date IS 'The day';
COMMENT ON COLUMN reconcile.run.state IS 'waiting: something is missing, see waiting_for; waited: something was, and the day has run since; succeeded: proved and published; failed: a proof line does not hold, nothing published';
COMMENT ON COLUMN reconcile.run.method IS 'batch: all entries of the day were read; incremental: those that changes since the run before touch';
COMMENT ON COLUMN reconcile.run.dry_run IS 'A rehearsal: nothing was published';
COMMENT ON COLUMN reconcile.run.forced IS 'Run although something was missing; needs an approver at sign-off';
COMMENT ON COLUMN reconcile.run.current IS 'The run whose result stands for the day';
COMMENT ON COLUMN reconcile.run.waiting_for IS 'What was missing; also on a forced run';
COMMENT ON COLUMN reconcile.run.failure IS 'The proof lines that do not hold, with their amounts';
COMMENT ON COLUMN reconcile.run.requested_by IS 'Who started it: the day''s preparer';
COMMENT ON COLUMN reconcile.run.started_at IS 'When it started';
COMMENT ON COLUMN reconcile.run.finished_at IS 'When it ended';
COMMENT ON COLUMN reconcile.run.snapshot IS 'The snapshot that it read';
COMMENT ON COLUMN reconcile.run.cluster IS 'The database cluster that snapshot is of: a dump carries rows into others';
COMMENT ON COLUMN reconcile.run.positions IS 'Position and time of the sources at that snapshot';
COMMENT ON COLUMN reconcile.run.rules IS 'Versions of the leg and of each pass';
COMMENT ON COLUMN reconcile.run.left_entries IS 'Effective entries of the left book that the day took in';
COMMENT ON COLUMN reconcile.run.right_entries IS 'Effective entries of the right book that the day took in';
COMMENT ON COLUMN reconcile.run.matched_pairs IS '1:1 matches of the day';
COMMENT ON COLUMN reconcile.run.matched_groups IS 'Matches with more than two entries';
COMMENT ON COLUMN reconcile.run.in_transit IS 'Unmatched entries that are not yet due';
COMMENT ON COLUMN reconcile.run.discrepancies_new IS 'Discrepancies that the day opened';
COMMENT ON COLUMN reconcile.run.discrepancies_cleared IS 'Discrepancies that the day''s data cleared';
COMMENT ON COLUMN reconcile.run.discrepancies_open IS 'Discrepancies open at the end of the day';
COMMENT ON COLUMN reconcile.run.digest IS 'Order-free digest of the matches and discrepancies: equal data gives an equal digest';
COMMENT ON COLUMN reconcile.run.proof IS 'Every proof line: whether it holds, and its terms';
COMMENT ON COLUMN reconcile.run.proof_difference IS 'What the proof leaves unexplained, summed over lines and currencies; 0 when it holds';
COMMENT ON COLUMN reconcile.run.timings IS 'Seconds per phase';
COMMENT ON COLUMN reconcile.run.batch_reason IS 'Why the day was run as a batch although it had been run and method => ''incremental'' was asked for';
COMMENT ON COLUMN reconcile.run.detail IS 'What an incremental run goes on from: sums and digests of the entries and matches that this run saw';

-- Ingestion names what it changes in such days alone: of a day that is yet to run, everything is read.
CREATE FUNCTION reconcile.day_has_run(p_channel text, p_account text, p_day date) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM reconcile.run r
                 WHERE r.channel = p_channel AND r.account = p_account AND r.business_date = p_day AND r.current)
$$;
COMMENT ON FUNCTION reconcile.day_has_run(text, text, date) IS 'Whether any leg has a run that stands for the day';

CREATE TABLE reconcile.run_total (
  run_id         bigint NOT NULL REFERENCES reconcile.run ON DELETE CASCADE,
  currency       text NOT NULL,
  left_opening_count bigint NOT NULL,   left_opening numeric NOT NULL,
  left_in_count bigint NOT NULL,        left_in numeric NOT NULL,
  left_matched_count bigint NOT NULL,   left_matched numeric NOT NULL,
  left_adjusted_count bigint NOT NULL,  left_adjusted numeric NOT NULL,
  left_closing_count bigint NOT NULL,   left_closing numeric NOT NULL,
  right_opening_count bigint NOT NULL,  right_opening numeric NOT NULL,
  right_in_count bigint NOT NULL,       right_in numeric NOT NULL,
  right_matched_count bigint NOT NULL,  right_matched numeric NOT NULL,
  right_adjusted_count bigint NOT NULL, right_adjusted numeric NOT NULL,
  right_closing_count bigint NOT NULL,  right_closing numeric NOT NULL,
  residual             numeric NOT NULL,
  in_transit_count     bigint NOT NULL,
  in_transit           numeric NOT NULL,
  discrepancy_count    bigint NOT NULL,
  discrepancy          numeric NOT NULL,
  fee_difference       numeric NOT NULL,
  statement_difference numeric NOT NULL,
  proof_difference     numeric NOT NULL,
  PRIMARY KEY (run_id, currency)
);
COMMENT ON TABLE reconcile.run_total IS 'The figures of a run per currency: what daily_summary shows and the proof adds up';
COMMENT ON COLUMN reconcile.run_total.run_id IS 'The run';
COMMENT ON COLUMN reconcile.run_total.currency IS 'The currency';
COMMENT ON COLUMN reconcile.run_total.left_opening_count IS 'Unmatched entries of the left book carried in';
COMMENT ON COLUMN reconcile.run_total.left_opening IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.left_in_count IS 'Effective entries of the left book taken in';
COMMENT ON COLUMN reconcile.run_total.left_in IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.left_matched_count IS 'Entries of the left book closed by matches';
COMMENT ON COLUMN reconcile.run_total.left_matched IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.left_adjusted_count IS 'Entries of the left book closed by approved adjustments';
COMMENT ON COLUMN reconcile.run_total.left_adjusted IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.left_closing_count IS 'Entries of the left book still unmatched';
COMMENT ON COLUMN reconcile.run_total.left_closing IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.right_opening_count IS 'Unmatched entries of the right book carried in';
COMMENT ON COLUMN reconcile.run_total.right_opening IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.right_in_count IS 'Effective entries of the right book taken in';
COMMENT ON COLUMN reconcile.run_total.right_in IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.right_matched_count IS 'Entries of the right book closed by matches';
COMMENT ON COLUMN reconcile.run_total.right_matched IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.right_adjusted_count IS 'Entries of the right book closed by approved adjustments';
COMMENT ON COLUMN reconcile.run_total.right_adjusted IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.right_closing_count IS 'Entries of the right book still unmatched';
COMMENT ON COLUMN reconcile.run_total.right_closing IS 'Their amount';
COMMENT ON COLUMN reconcile.run_total.residual IS 'Differences accepted by the day''s matches, right minus left';
COMMENT ON COLUMN reconcile.run_total.in_transit_count IS 'Unmatched entries not yet due';
COMMENT ON COLUMN reconcile.run_total.in_transit IS 'Their amount, right minus left';
COMMENT ON COLUMN reconcile.run_total.discrepancy_count IS 'Unmatched entries in open discrepancies';
COMMENT ON COLUMN reconcile.run_total.discrepancy IS 'Their amount, right minus left';
COMMENT ON COLUMN reconcile.run_total.fee_difference IS 'Left fee minus right fee over the day''s matched pairs where both state one';
COMMENT ON COLUMN reconcile.run_total.statement_difference IS 'What the day''s statements say of themselves minus what their entries add up to';
COMMENT ON COLUMN reconcile.run_total.proof_difference IS 'What the proof leaves unexplained in this currency; 0 when it holds';

CREATE TABLE reconcile.discrepancy (
  discrepancy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel        text NOT NULL,
  account        text NOT NULL,
  leg            text NOT NULL,
  item_key       text COLLATE "C" NOT NULL,
  entry_kind     text NOT NULL,
  ordinal        integer NOT NULL,
  first_entry    text COLLATE "C" NOT NULL,
  kind           text NOT NULL,
  state          text NOT NULL DEFAULT 'open'
                 CHECK (state IN ('open', 'investigating', 'waiting_external', 'proposed', 'approved', 'executing',
                                  'awaiting_confirmation', 'resolved', 'rejected', 'written_off', 'cleared', 'reopened')),
  business_date  date NOT NULL,
  opened_on      date NOT NULL,
  cleared_on     date,
  earlier_episodes jsonb NOT NULL DEFAULT '[]',
  currency       text NOT NULL,
  difference     numeric,
  left_amount    numeric,
  left_currency  text,
  right_amount   numeric,
  right_currency text,
  left_entry     jsonb,
  right_entry    jsonb,
  owner          name,
  scenario       text,
  severity       text,
  due_at         timestamptz,
  first_run_id   bigint NOT NULL,
  last_run_id    bigint NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  UNIQUE (channel, account, leg, item_key, entry_kind, ordinal)
);
CREATE INDEX discrepancy_open ON reconcile.discrepancy (channel, account, leg)
  WHERE state NOT IN ('cleared', 'resolved', 'written_off');
COMMENT ON TABLE reconcile.discrepancy IS 'A difference that a run found and that is due; its id and history stay through re-runs';
COMMENT ON COLUMN reconcile.discrepancy.discrepancy_id IS 'The discrepancy';
COMMENT ON COLUMN reconcile.discrepancy.channel IS 'The channel';
COMMENT ON COLUMN reconcile.discrepancy.account IS 'The account';
COMMENT ON COLUMN reconcile.discrepancy.leg IS 'The leg';
COMMENT ON COLUMN reconcile.discrepancy.item_key IS 'What it is about: the match key, or the source key where there is none';
COMMENT ON COLUMN reconcile.discrepancy.entry_kind IS 'payment, refund ...';
COMMENT ON COLUMN reconcile.discrepancy.ordinal IS 'Tells apart several discrepancies of one key and kind';
COMMENT ON COLUMN reconcile.discrepancy.first_entry IS 'The entry that it is known by, the one that came first: book/source_id/source_key';
COMMENT ON COLUMN reconcile.discrepancy.kind IS 'missing_<book>, duplicate_<book>, amount_mismatch ...';
COMMENT ON COLUMN reconcile.discrepancy.state IS 'open until something clears or resolves it';
COMMENT ON COLUMN reconcile.discrepancy.business_date IS 'The earliest business date of its entries';
COMMENT ON COLUMN reconcile.discrepancy.opened_on IS 'The day whose run opened it, the last time when it was reopened';
COMMENT ON COLUMN reconcile.discrepancy.cleared_on IS 'The day whose data or adjustments ended it';
COMMENT ON COLUMN reconcile.discrepancy.earlier_episodes IS 'When it stood before it was reopened: [{opened_on, cleared_on, resolved}], in order';
COMMENT ON COLUMN reconcile.discrepancy.currency IS 'Currency of difference';
COMMENT ON COLUMN reconcile.discrepancy.difference IS 'Right minus left: positive is to our advantage; fees: left minus right; NULL when the two currencies differ';
COMMENT ON COLUMN reconcile.discrepancy.left_amount IS 'Amount (or fee) in the left book';
COMMENT ON COLUMN reconcile.discrepancy.left_currency IS 'Its currency';
COMMENT ON COLUMN reconcile.discrepancy.right_amount IS 'Amount (or fee) in the right book';
COMMENT ON COLUMN reconcile.discrepancy.right_currency IS 'Its currency';
COMMENT ON COLUMN reconcile.discrepancy.left_entry IS 'The left book''s entry, as the run saw it';
COMMENT ON COLUMN reconcile.discrepancy.right_entry IS 'The right book''s entry, as the run saw it';
COMMENT ON COLUMN reconcile.discrepancy.owner IS 'Who looks after it';
COMMENT ON COLUMN reconcile.discrepancy.scenario IS 'The scenario that classification gave it';
COMMENT ON COLUMN reconcile.discrepancy.severity IS 'The severity that classification gave it';
COMMENT ON COLUMN reconcile.discrepancy.due_at IS 'When it should be put right';
COMMENT ON COLUMN reconcile.discrepancy.first_run_id IS 'The run that opened it';
COMMENT ON COLUMN reconcile.discrepancy.last_run_id IS 'The last run that changed it';
COMMENT ON COLUMN reconcile.discrepancy.created_at IS 'When it was found';
COMMENT ON COLUMN reconcile.discrepancy.updated_at IS 'When it last changed';

CREATE TABLE reconcile.discrepancy_event (
  event_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  discrepancy_id bigint NOT NULL REFERENCES reconcile.discrepancy,
  event          text NOT NULL,
  run_id         bigint,
  details        jsonb NOT NULL,
  actor          name NOT NULL,
  recorded_at    timestamptz NOT NULL,
  previous_hash  bytea NOT NULL,
  hash           bytea NOT NULL
);
CREATE INDEX discrepancy_event_discrepancy ON reconcile.discrepancy_event (discrepancy_id);
COMMENT ON TABLE reconcile.discrepancy_event IS 'Append-only history of every discrepancy, each event chained to the one before it by SHA-256';
COMMENT ON COLUMN reconcile.discrepancy_event.event_id IS 'Order of recording';
COMMENT ON COLUMN reconcile.discrepancy_event.discrepancy_id IS 'The discrepancy';
COMMENT ON COLUMN reconcile.discrepancy_event.event IS 'opened, changed, cleared, reopened, assigned ...';
COMMENT ON COLUMN reconcile.discrepancy_event.run_id IS 'The run that caused it';
COMMENT ON COLUMN reconcile.discrepancy_event.details IS 'What is true since';
COMMENT ON COLUMN reconcile.discrepancy_event.actor IS 'The login that caused it';
COMMENT ON COLUMN reconcile.discrepancy_event.recorded_at IS 'When';
COMMENT ON COLUMN reconcile.discrepancy_event.previous_hash IS 'Hash of the event before';
COMMENT ON COLUMN reconcile.discrepancy_event.hash IS 'SHA-256 of previous_hash and this event';

CREATE TABLE reconcile.open_item (
  channel       text NOT NULL,
  account       text NOT NULL,
  leg           text NOT NULL,
  book          text NOT NULL,
  source_id     integer NOT NULL,
  source_key    text COLLATE "C" NOT NULL,
  order_key     text COLLATE "C" NOT NULL,
  match_key     text COLLATE "C",
  channel_ref   text COLLATE "C",
  kind          text NOT NULL,
  amount        numeric NOT NULL,
  currency      text NOT NULL,
  fee           numeric,
  occurred_at   timestamptz,
  business_date date NOT NULL,
  opened_on     date NOT NULL,
  due_date      date NOT NULL,
  closed_on     date,
  closed_by     text CHECK (closed_by IN ('match', 'adjustment')),
  entry         jsonb NOT NULL,
  PRIMARY KEY (channel, account, leg, book, source_id, source_key),
  CHECK ((closed_on IS NULL) = (closed_by IS NULL))
);
CREATE INDEX open_item_open ON reconcile.open_item (channel, account, leg, opened_on) WHERE closed_on IS NULL;
CREATE INDEX open_item_amount ON reconcile.open_item (channel, account, leg, book, currency, amount) WHERE closed_on IS NULL;
COMMENT ON TABLE reconcile.open_item IS 'Unmatched effective entries, in transit or in a discrepancy, carried into the following days'' runs';
COMMENT ON COLUMN reconcile.open_item.channel IS 'The channel';
COMMENT ON COLUMN reconcile.open_item.account IS 'The account';
COMMENT ON COLUMN reconcile.open_item.leg IS 'The leg';
COMMENT ON COLUMN reconcile.open_item.book IS 'The book';
COMMENT ON COLUMN reconcile.open_item.source_id IS 'The entry''s source';
COMMENT ON COLUMN reconcile.open_item.source_key IS 'The entry''s source key';
COMMENT ON COLUMN reconcile.open_item.order_key IS 'The entry''s order key';
COMMENT ON COLUMN reconcile.open_item.match_key IS 'The entry''s match key';
COMMENT ON COLUMN reconcile.open_item.channel_ref IS 'The channel''s own number';
COMMENT ON COLUMN reconcile.open_item.kind IS 'The entry kind';
COMMENT ON COLUMN reconcile.open_item.amount IS 'The entry''s amount';
COMMENT ON COLUMN reconcile.open_item.currency IS 'Its currency';
COMMENT ON COLUMN reconcile.open_item.fee IS 'Its fee';
COMMENT ON COLUMN reconcile.open_item.occurred_at IS 'When it happened';
COMMENT ON COLUMN reconcile.open_item.business_date IS 'Its business date';
COMMENT ON COLUMN reconcile.open_item.opened_on IS 'The day that took it in';
COMMENT ON COLUMN reconcile.open_item.due_date IS 'From this day on it is a discrepancy; before, it is in transit';
COMMENT ON COLUMN reconcile.open_item.closed_on IS 'The day that closed it';
COMMENT ON COLUMN reconcile.open_item.closed_by IS 'match or adjustment';
COMMENT ON COLUMN reconcile.open_item.entry IS 'The entry, all columns';

CREATE TABLE reconcile.match_group (
  group_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel       text NOT NULL,
  account       text NOT NULL,
  leg           text NOT NULL,
  business_date date NOT NULL,
  pass          integer NOT NULL,
  rule          text NOT NULL,
  rule_version  integer NOT NULL,
  currency      text NOT NULL,
  residual      numeric NOT NULL,
  differs       boolean NOT NULL DEFAULT false,
  tolerance     jsonb,
  decision_id   bigint,
  run_id        bigint NOT NULL,
  created_by    name NOT NULL DEFAULT session_user,
  created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX match_group_day ON reconcile.match_group (channel, account, leg, business_date);
CREATE INDEX match_group_decision ON reconcile.match_group (decision_id) WHERE decision_id IS NOT NULL;
COMMENT ON TABLE reconcile.match_group IS 'Matches that can''t be derived from the entries alone: across days, of several entries, by a configured rule, confirmed, or with a difference in fee or reference';
COMMENT ON COLUMN reconcile.match_group.group_id IS 'The match';
COMMENT ON COLUMN reconcile.match_group.channel IS 'The channel';
COMMENT ON COLUMN reconcile.match_group.account IS 'The account';
COMMENT ON COLUMN reconcile.match_group.leg IS 'The leg';
COMMENT ON COLUMN reconcile.match_group.business_date IS 'The day whose run made it';
COMMENT ON COLUMN reconcile.match_group.pass IS 'The pass that found it; 0: somebody confirmed it';
COMMENT ON COLUMN reconcile.match_group.rule IS 'Its rule''s name';
COMMENT ON COLUMN reconcile.match_group.rule_version IS 'The version of the rule set';
COMMENT ON COLUMN reconcile.match_group.currency IS 'The currency';
COMMENT ON COLUMN reconcile.match_group.residual IS 'The difference that it accepts, right minus left';
COMMENT ON COLUMN reconcile.match_group.differs IS 'A pair whose fees or references differ: a discrepancy of its own';
COMMENT ON COLUMN reconcile.match_group.tolerance IS 'The rule''s amount and window that allowed it; NULL: an exact match';
COMMENT ON COLUMN reconcile.match_group.decision_id IS 'Who confirmed it: reconcile.match_decision';
COMMENT ON COLUMN reconcile.match_group.run_id IS 'The run';
COMMENT ON COLUMN reconcile.match_group.created_by IS 'Who started the run, or matched by hand';
COMMENT ON COLUMN reconcile.match_group.created_at IS 'When';

CREATE TABLE reconcile.match_item (
  group_id   bigint NOT NULL REFERENCES reconcile.match_group ON DELETE CASCADE,
  channel    text NOT NULL,
  account    text NOT NULL,
  leg        text NOT NULL,
  book       text NOT NULL,
  source_id  integer NOT NULL,
  source_key text COLLATE "C" NOT NULL,
  amount     numeric NOT NULL,
  fee        numeric,
  entry      jsonb NOT NULL,
  PRIMARY KEY (channel, account, leg, book, source_id, source_key)
);
CREATE INDEX match_item_group ON reconcile.match_item (group_id);
COMMENT ON TABLE reconcile.match_item IS 'The entries of a stored match; an entry is in one match of a leg at most';
COMMENT ON COLUMN reconcile.match_item.group_id IS 'The match';
COMMENT ON COLUMN reconcile.match_item.channel IS 'The channel';
COMMENT ON COLUMN reconcile.match_item.account IS 'The account';
COMMENT ON COLUMN reconcile.match_item.leg IS 'The leg';
COMMENT ON COLUMN reconcile.match_item.book IS 'The book';
COMMENT ON COLUMN reconcile.match_item.source_id IS 'The entry''s source';
COMMENT ON COLUMN reconcile.match_item.source_key IS 'The entry''s source key';
COMMENT ON COLUMN reconcile.match_item.amount IS 'Its amount';
COMMENT ON COLUMN reconcile.match_item.fee IS 'Its fee';
COMMENT ON COLUMN reconcile.match_item.entry IS 'The entry, all columns';

CREATE TABLE reconcile.adjustment (
  adjustment_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  discrepancy_id bigint NOT NULL REFERENCES reconcile.discrepancy,
  amount         numeric NOT NULL,
  currency       text NOT NULL,
  recon_date     date NOT NULL,
  state          text NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected')),
  reason_code    text NOT NULL,
  comment        text,
  proposed_by    name NOT NULL DEFAULT session_user,
  proposed_at    timestamptz NOT NULL DEFAULT now(),
  decided_by     name,
  decided_at     timestamptz,
  xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
  cluster        bigint NOT NULL DEFAULT reconcile.local_system_identifier(),
  CHECK (decided_by <> proposed_by),
  CHECK ((state = 'proposed') = (decided_by IS NULL))
);
CREATE INDEX adjustment_discrepancy ON reconcile.adjustment (discrepancy_id);

-- Runs have reckoned with what was decided: it is taken back by an opposite adjustment, never by changing it.
CREATE FUNCTION reconcile.keep_decided_adjustment() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF OLD.state <> 'proposed' AND (NEW.discrepancy_id, NEW.amount, NEW.currency, NEW.recon_date, NEW.state)
                                 IS DISTINCT FROM (OLD.discrepancy_id, OLD.amount, OLD.currency, OLD.recon_date, OLD.state) THEN
    RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
      MESSAGE = format('adjustment %s is %s', OLD.adjustment_id, OLD.state),
      DETAIL = 'What was decided is not changed: runs have reckoned with it.',
      HINT = 'Propose an adjustment of the opposite amount for the same day; a day that is signed off is reopened first.';
  END IF;
  IF NEW.state <> OLD.state THEN
    NEW.xid := pg_current_xact_id();
    NEW.cluster := reconcile.local_system_identifier();
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION reconcile.keep_decided_adjustment() IS 'Keeps decided adjustments as they are, and notes which transaction decided';
CREATE TRIGGER keep_decided BEFORE UPDATE ON reconcile.adjustment
  FOR EACH ROW EXECUTE FUNCTION reconcile.keep_decided_adjustment();
COMMENT ON TABLE reconcile.adjustment IS 'What puts a discrepancy right without a matching entry; proposed by one, approved by another';
COMMENT ON COLUMN reconcile.adjustment.adjustment_id IS 'The adjustment';
COMMENT ON COLUMN reconcile.adjustment.discrepancy_id IS 'The discrepancy';
COMMENT ON COLUMN reconcile.adjustment.amount IS 'How much of the difference it explains, same sign';
COMMENT ON COLUMN reconcile.adjustment.currency IS 'Its currency';
COMMENT ON COLUMN reconcile.adjustment.recon_date IS 'The first day whose run reckons with it; when that is signed off, the next open day';
COMMENT ON COLUMN reconcile.adjustment.state IS 'proposed, approved or rejected';
COMMENT ON COLUMN reconcile.adjustment.reason_code IS 'Why, as a code';
COMMENT ON COLUMN reconcile.adjustment.comment IS 'Why, in words';
COMMENT ON COLUMN reconcile.adjustment.proposed_by IS 'The maker';
COMMENT ON COLUMN reconcile.adjustment.proposed_at IS 'When it was proposed';
COMMENT ON COLUMN reconcile.adjustment.decided_by IS 'The checker';
COMMENT ON COLUMN reconcile.adjustment.decided_at IS 'When it was decided';
COMMENT ON COLUMN reconcile.adjustment.xid IS 'The transaction that decided it: runs know by it what their snapshot did not see';
COMMENT ON COLUMN reconcile.adjustment.cluster IS 'The database cluster that xid is of: a dump carries rows into others';

CREATE TABLE reconcile.day_close (
  close_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel       text NOT NULL,
  account       text NOT NULL,
  business_date date NOT NULL,
  prepared_by   name[] NOT NULL,
  signed_by     name NOT NULL,
  signed_at     timestamptz NOT NULL DEFAULT now(),
  runs          bigint[] NOT NULL,
  figures       jsonb NOT NULL,
  statements    jsonb NOT NULL,
  rules         jsonb NOT NULL,
  digest        text NOT NULL,
  forced        jsonb NOT NULL,
  reopened_by   name,
  reopened_at   timestamptz,
  reopen_reason text
);
CREATE UNIQUE INDEX day_close_standing ON reconcile.day_close (channel, account, business_date)
  WHERE reopened_at IS NULL;
COMMENT ON TABLE reconcile.day_close IS 'Signed-off days: the figures are final';
COMMENT ON COLUMN reconcile.day_close.close_id IS 'The sign-off';
COMMENT ON COLUMN reconcile.day_close.channel IS 'The channel';
COMMENT ON COLUMN reconcile.day_close.account IS 'The account';
COMMENT ON COLUMN reconcile.day_close.business_date IS 'The day';
COMMENT ON COLUMN reconcile.day_close.prepared_by IS 'Who started the runs';
COMMENT ON COLUMN reconcile.day_close.signed_by IS 'Who signed';
COMMENT ON COLUMN reconcile.day_close.signed_at IS 'When';
COMMENT ON COLUMN reconcile.day_close.runs IS 'The runs that the figures are of';
COMMENT ON COLUMN reconcile.day_close.figures IS 'run_total of these runs, as signed';
COMMENT ON COLUMN reconcile.day_close.statements IS 'The day''s statements with their hashes';
COMMENT ON COLUMN reconcile.day_close.rules IS 'Versions of legs and passes';
COMMENT ON COLUMN reconcile.day_close.digest IS 'The runs'' digests';
COMMENT ON COLUMN reconcile.day_close.forced IS 'What was forced, waived or matched by confirmation, and by whom';
COMMENT ON COLUMN reconcile.day_close.reopened_by IS 'Who reopened the day';
COMMENT ON COLUMN reconcile.day_close.reopened_at IS 'When it was reopened';
COMMENT ON COLUMN reconcile.day_close.reopen_reason IS 'Why it was reopened';
