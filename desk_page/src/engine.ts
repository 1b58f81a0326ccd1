/* DuckDB in this worker: in memory, no files, no network, nothing to load. */

import { createDuckDB, DEFAULT_RUNTIME, type DuckDBBindings, type DuckDBConnection, VoidLogger } from "@duckdb/duckdb-wasm/blocking";
import type { Table } from "apache-arrow";

export type Value = string | number | bigint | boolean | null;
export type Row = Record<string, Value>;

const LOCKED = [
  "SET autoinstall_known_extensions = false",
  "SET autoload_known_extensions = false",
  "SET enable_external_access = false",
  "SET lock_configuration = true",
];

type Success = (instance: WebAssembly.Instance, module: WebAssembly.Module) => void;
type Instantiating = { instantiateWasm(imports: WebAssembly.Imports, success: Success): object; _runtime: unknown };

export class Engine {
  readonly #connection: DuckDBConnection;

  private constructor(database: DuckDBBindings) {
    database.open({ path: ":memory:" });
    this.#connection = database.connect();
    for (const setting of LOCKED) this.#connection.query(setting);
  }

  /** `compiled` is the program of DuckDB, which the page carries; the library would fetch it from an address. */
  static async start(compiled: WebAssembly.Module): Promise<Engine> {
    const nowhere = { mainModule: "", mainWorker: "" };
    const database = await createDuckDB({ mvp: nowhere, eh: nowhere }, new VoidLogger(), DEFAULT_RUNTIME);
    const inside = database as unknown as Instantiating;
    const failed = new Promise<never>((_, reject) => {
      inside.instantiateWasm = (imports, success) => {
        (globalThis as unknown as { DUCKDB_RUNTIME: unknown }).DUCKDB_RUNTIME = inside._runtime;
        WebAssembly.instantiate(compiled, imports).then((instance) => success(instance, compiled), reject);
        return {};
      };
    });
    await Promise.race([database.instantiate(), failed]);
    return new Engine(database);
  }

  get version(): string {
    return String(this.query("SELECT version() AS version")[0]?.["version"]);
  }

  run(sql: string): Table {
    return this.#connection.query(sql);
  }

  query(sql: string): Row[] {
    return this.run(sql).toArray().map((row) => row.toJSON() as Row);
  }

  put(name: string, table: Table): void {
    this.drop(name);
    this.#connection.insertArrowTable(table, { name, create: true });
  }

  drop(...names: string[]): void {
    for (const name of names) this.run(`DROP TABLE IF EXISTS ${name}`);
  }
}
