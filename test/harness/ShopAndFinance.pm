package ShopAndFinance;

# A shop whose table `payments` is published, and a finance database that reads it.
#
#   my ($shop, $finance) = shop_and_finance(%options);   both started; options: finance_conf, shop_conf
#   create_source($finance, $shop);                      server, user mapping, channel, account, source
#   wait_for_equality($shop, $finance, $seconds);        every entry is as its payment, and there are no others
#   wait_for_state($finance, 'running', $seconds);

use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use ReconcileNode;

our @EXPORT = qw(shop_and_finance create_source wait_for_equality wait_for_state shop_figures finance_figures);

sub shop_and_finance {
    my (%options) = @_;
    my $shop = reconcile_node('shop', conf => "shared_preload_libraries = ''\n" . ($options{shop_conf} || ''));
    $shop->start;
    $shop->safe_psql('postgres', 'CREATE DATABASE shop');
    $shop->safe_psql('shop', <<'SQL');
CREATE TABLE payments (
    id bigint PRIMARY KEY, pay_channel text NOT NULL, order_no text NOT NULL, amount_fen bigint NOT NULL,
    state integer NOT NULL, paid_at timestamptz NOT NULL DEFAULT now(), note text);
CREATE TABLE unrelated (id bigint PRIMARY KEY);
CREATE PUBLICATION payments FOR TABLE payments, unrelated;
SQL
    my $finance = reconcile_node('finance', conf => $options{finance_conf});
    $finance->start;
    $finance->safe_psql('postgres', 'CREATE DATABASE finance');
    create_extension($finance, 'finance');
    $finance->safe_psql('finance', <<'SQL');
SELECT reconcile.create_channel('alipay', 'Asia/Shanghai', 'CNY', first_date => current_date - 40);
SELECT reconcile.create_account('alipay', '2088');
SQL
    return ($shop, $finance);
}

sub create_source {
    my ($finance, $shop) = @_;
    my ($host, $port) = ($shop->host, $shop->port);
    $finance->safe_psql('finance', <<"SQL");
CREATE SERVER shop FOREIGN DATA WRAPPER reconcile_source OPTIONS (host '$host', port '$port', dbname 'shop');
CREATE USER MAPPING FOR reconcile_worker SERVER shop OPTIONS (user 'postgres');
SELECT reconcile.create_replication_source('shop payments', server => 'shop', publication => 'payments',
    "table" => 'payments', options => '{"reject_limit": 50}', mapping => '{
        "channel":     {"column": "pay_channel", "map": {"1": "alipay"}},
        "account":     {"const": "2088"},
        "order_key":   {"column": "order_no"},
        "match_key":   {"column": "order_no"},
        "kind":        {"const": "payment"},
        "amount":      {"column": "amount_fen", "scale": 2},
        "currency":    {"const": "CNY"},
        "status":      {"column": "state", "map": {"1": "pending", "2": "success", "3": "failed"}},
        "occurred_at": {"column": "paid_at"}}');
SQL
    return;
}

# Identities, amounts and states of all rows, as count, sum and a hash.
sub shop_figures {
    my ($shop) = @_;
    return $shop->safe_psql('shop', q{
        SELECT count(*), coalesce(sum(amount_fen), 0),
               md5(string_agg(format('%s:%s:%s', id, amount_fen, state), ',' ORDER BY id))
        FROM payments WHERE pay_channel = '1'});
}

sub finance_figures {
    return q{
        SELECT count(*), coalesce(sum(amount_fen), 0),
               md5(string_agg(format('%s:%s:%s', id, amount_fen, state), ',' ORDER BY id))
        FROM (SELECT split_part(source_key, '/', 2)::bigint AS id, (amount * 100)::bigint AS amount_fen,
                     CASE status WHEN 'pending' THEN 1 WHEN 'success' THEN 2 WHEN 'failed' THEN 3 END AS state
              FROM reconcile.entry WHERE source_key LIKE 'public.payments/%') e};
}

sub wait_for_equality {
    my ($shop, $finance, $seconds) = @_;
    return wait_for_query($finance, 'finance', finance_figures(), shop_figures($shop), $seconds || 60);
}

sub wait_for_state {
    my ($finance, $state, $seconds) = @_;
    return wait_for_query($finance, 'finance', 'SELECT state FROM reconcile.source_status', $state, $seconds || 60);
}

1;
