-- Upkeep: partitions ahead, and the append-only lists that ingestion leaves behind.

-- Rows of xids from a restored dump may lie ahead of this cluster's: visible, and yet not begun here, so long finished.
CREATE FUNCTION reconcile.is_settled(writer xid8) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT writer < pg_snapshot_xmin(pg_current_snapshot())
      OR (writer >= pg_snapshot_xmax(pg_current_snapshot())
          AND writer IS DISTINCT FROM pg_current_xact_id_if_assigned())
$$;
COMMENT ON FUNCTION reconcile.is_settled(xid8) IS 'Whether the transaction that wrote a visible row is seen by every running transaction';

-- Deltas of transactions that every snapshot sees, one row a key. Those are nobody's any more: no transaction that is
-- still running wrote them, and no reader's sum changes, because old rows and the new one change places in one commit.
CREATE FUNCTION reconcile.fold_entry_totals(OUT folded bigint, OUT kept bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH settled AS MATERIALIZED (
    SELECT t.channel, t.account, t.recon_date, t.book, t.kind, t.currency
    FROM reconcile.entry_total t
    WHERE reconcile.is_settled(t.xid)
    GROUP BY t.channel, t.account, t.recon_date, t.book, t.kind, t.currency
    HAVING count(*) > 1
  ), gone AS (
    DELETE FROM reconcile.entry_total t USING settled s
    WHERE t.channel = s.channel AND t.account = s.account AND t.recon_date = s.recon_date AND t.book = s.book
      AND t.kind = s.kind AND t.currency = s.currency AND reconcile.is_settled(t.xid)
    RETURNING t.*
  ), sums AS (
    INSERT INTO reconcile.entry_total (channel, account, recon_date, book, kind, currency, entries, amount, fee, digest)
    SELECT g.channel, g.account, g.recon_date, g.book, g.kind, g.currency, sum(g.entries), sum(g.amount), sum(g.fee),
           mod(sum(g.digest), 340282366920938463463374607431768211456)
    FROM gone g
    GROUP BY g.channel, g.account, g.recon_date, g.book, g.kind, g.currency
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM sums)
$$;
COMMENT ON FUNCTION reconcile.fold_entry_totals() IS 'Adds up entry_total to one row a key, where every running transaction sees the deltas; how many rows became how many';

-- A change is forgotten when nobody will ask for it any more: every leg of the channel has a current run of the day,
-- and every run that is asked about it (of its day and of later days, the current ones, and those that failed lately,
-- which next_run_day() leaves alone for an hour) has seen it.
-- Signed-off days are treated like others: reopen_day() brings back the same runs.
CREATE FUNCTION reconcile.forget_entry_changes(OUT forgotten bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH day AS MATERIALIZED (
    SELECT DISTINCT g.channel, g.account, g.recon_date FROM reconcile.entry_change g
  ), seen AS MATERIALIZED (
    SELECT d.channel, d.account, d.recon_date
    FROM day d
    WHERE NOT EXISTS (SELECT FROM reconcile.leg l
                      WHERE l.channel = d.channel
                        AND NOT EXISTS (SELECT FROM reconcile.run r
                                        WHERE r.channel = d.channel AND r.account = d.account AND r.leg = l.leg
                                          AND r.business_date = d.recon_date AND r.current AND r.snapshot IS NOT NULL))
  ), gone AS (
    DELETE FROM reconcile.entry_change g USING seen s
    WHERE g.channel = s.channel AND g.account = s.account AND g.recon_date = s.recon_date
      AND reconcile.is_settled(g.xid)
      AND NOT EXISTS (SELECT FROM reconcile.run r
                      WHERE r.channel = g.channel AND r.account = g.account AND r.business_date >= g.recon_date
                        AND (r.current OR r.state = 'failed' AND r.finished_at > now() - interval '2 hours') AND r.snapshot IS NOT NULL
                        AND NOT reconcile.run_has_seen_change(r.snapshot, r.cluster, r.detail, g.change_id, g.xid, g.cluster))
    RETURNING 1
  )
  SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION reconcile.forget_entry_changes() IS 'Deletes from entry_change what every leg''s current run of the day has seen; how many rows';

CREATE FUNCTION reconcile.ensure_months_ahead() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF to_regclass('reconcile.entry') IS NOT NULL THEN
    FOR ahead IN 0 .. 40 LOOP
      PERFORM reconcile.ensure_month(current_date + ahead);
    END LOOP;
  END IF;
END
$$;
COMMENT ON FUNCTION reconcile.ensure_months_ahead() IS 'Creates the partitions of every book for today and the 40 days to come';

-- No SET clause and not definer: it commits. Every step keeps its locks for a moment only.
CREATE PROCEDURE reconcile.maintain()
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM reconcile.ensure_months_ahead();
  COMMIT;
  PERFORM reconcile.fold_entry_totals();
  COMMIT;
  PERFORM reconcile.forget_entry_changes();
  COMMIT;
  PERFORM reconcile.expire_stored_files();
  COMMIT;
  PERFORM reconcile.remove_expired_files();
  COMMIT;
END
$$;
COMMENT ON PROCEDURE reconcile.maintain() IS 'Makes partitions ahead, adds up entry_total, forgets changes that every run has seen, removes stored files that need not be kept any longer: for pg_cron, alone in its job, daily';

GRANT EXECUTE ON FUNCTION reconcile.fold_entry_totals(), reconcile.forget_entry_changes(),
  reconcile.ensure_months_ahead() TO reconcile_admin, reconcile_worker;
GRANT EXECUTE ON PROCEDURE reconcile.maintain() TO reconcile_admin, reconcile_worker;
