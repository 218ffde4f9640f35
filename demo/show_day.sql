-- What a day's end looks like to those who come in the morning. Variable: day.
\echo 'Summary (reconcile.daily_summary):'
SELECT * FROM reconcile.daily_summary WHERE business_date = :'day' ORDER BY channel;
