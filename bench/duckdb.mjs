// Runs SQL in DuckDB, the peer of bench/run.sh.
//   node duckdb.mjs <database file> <threads> prepare <sql>     runs it
//   node duckdb.mjs <database file> <threads> time <sql>        runs it twice, prints the second run's seconds
// The package @duckdb/node-api is looked for in $PG_RECONCILE_INTEROP/node_modules (make deps-interop).
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

const require = createRequire(process.env.PG_RECONCILE_INTEROP + '/package.json');
const { DuckDBInstance } = require('@duckdb/node-api');
const [file, threads, command, sql] = process.argv.slice(2);
const instance = await DuckDBInstance.create(file, { threads });
const connection = await instance.connect();
const run = async () => {
  const started = performance.now();
  await (await connection.run(sql)).getRowsJson();
  return (performance.now() - started) / 1000;
};
if (command === 'prepare') {
  await connection.run(sql);
} else {
  await run();
  console.log((await run()).toFixed(4));
}
connection.closeSync();
instance.closeSync();
