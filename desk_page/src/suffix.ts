/* Files that are no CSV, told by how they begin: of those the rules would only say that they are not text. */

export type Refusal = { what: string; todo: string };

type Sort = { begins: number[]; what: string; todo: string };

const EXPORT = "Export the extract as CSV UTF-8 and choose that file.";
const UNSEALED = "Choose the CSV file from before it was sealed. If you have only this one, make the export again.";

const SORTS: Sort[] = [
  { begins: [0x50, 0x4b, 0x03, 0x04], what: "is a workbook (.xlsx) or a zip file, not CSV.", todo: `If it is a workbook, save it as 'CSV UTF-8'. If it is a zip file, unpack it first. ${EXPORT}` },
  { begins: [0xd0, 0xcf, 0x11, 0xe0], what: "is an old Excel workbook (.xls), not CSV.", todo: EXPORT },
  { begins: [0x25, 0x50, 0x44, 0x46], what: "is a PDF file, not CSV.", todo: EXPORT },
  { begins: [0x1f, 0x8b], what: "is packed with gzip, not CSV.", todo: "Unpack it first." },
];
const ARMOUR = "-----BEGIN PGP";
const SEALED = new Set([0xa8, 0x84, 0x85, 0x8c, 0xc1, 0xc3]); // the first bytes of OpenPGP messages: a key or a password packet, or compressed

/** What to say of a file that is no CSV; null where it may be one. `head`: its first bytes. */
export function whyNotCsv(name: string, head: Uint8Array): Refusal | null {
  const sort = SORTS.find(({ begins }) => begins.every((byte, at) => head[at] === byte));
  if (sort) return { what: `${name} ${sort.what}`, todo: sort.todo };
  const sealed = /\.(pgp|gpg|asc)$/i.test(name) || new TextDecoder("latin1").decode(head).startsWith(ARMOUR);
  if (sealed || (SEALED.has(head[0] ?? 0) && /\.pgp/i.test(name))) return { what: `${name} is sealed already.`, todo: UNSEALED };
  return null;
}
