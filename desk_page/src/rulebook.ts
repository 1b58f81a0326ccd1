/* The rules as the program has them: desk_page/build.py writes them down, from the same modules that run at night. */

import type { FactType } from "./columns";
import type { Form } from "./records";

export type Severity = "ERROR" | "WARNING";

export type Rule = {
  code: string;
  scope: "FILE" | "ROW";
  severity: Severity;
  field: string | null;
  outcome: string;
  cause: string;
  cure: string;
};

/** Rules that share what they are given: a column that must be true somewhere, or nothing. */
export type Group = { given: string; sql: string };

export type Rulebook = {
  program: string; // its version
  rules_version: string;
  format: string;
  supported: string[];
  line_bytes: number;
  lines_max: number;
  form: Form;
  facts: Record<string, FactType>;
  rules: Rule[];
  old_style: string; // the code of the rule whose rows have an outcome of their own
  gravest: string[]; // file outcomes: which one tells where several refuse a file
  sql: { file: string; typed: string; alone: Group[]; crowded: string; across: Group[] };
};
