"""Parts on disk: nothing to be read in them, nothing in them to be altered unseen."""

from __future__ import annotations

import base64
import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from cpis_batch import files
from cpis_batch.errors import KeyFault, StateFault
from cpis_batch.keystore import MasterKey
from cpis_batch.register.schema import HISTORY, PLANS
from cpis_batch.register.store import KEY_NAME, SUFFIX, PartStore
from tests.builders import nhs, plan, plans

KEY = bytes(range(32))


@pytest.fixture
def store(tmp_path):
    return PartStore(tmp_path / "register", MasterKey(KEY))


def path_of(tmp_path, digest):
    return tmp_path / "register" / f"{digest}{SUFFIX}"


@pytest.mark.parametrize(
    "table", [plans([plan(1, given_name="Zoë", end_date=date(2026, 3, 1)), plan(2)]), plans(), HISTORY.empty_table()]
)
def test_what_is_written_is_read_back_with_its_columns(store, table):
    part = store.write(table)
    assert part.rows == table.num_rows
    assert store.read(part.digest).equals(table)
    assert store.read(part.digest).schema == table.schema


def test_some_columns_can_be_read_alone(store):
    held = plans([plan(1), plan(2)])
    assert store.read(store.write(held).digest, ["plan_type", "nhs_number"]).equals(held.select(["plan_type", "nhs_number"]))


def test_a_part_is_named_by_the_digest_of_its_bytes_and_is_private(store, tmp_path):
    part = store.write(plans([plan(1)]))
    path = path_of(tmp_path, part.digest)
    assert files.digest_of_file(path) == part.digest
    assert path.stat().st_size == part.size
    assert path.stat().st_mode & 0o777 == 0o600


def test_f68_no_value_no_column_and_no_statistic_can_be_read_in_the_bytes(store, tmp_path):
    secrets = {"family_name": "Canaryfamily", "given_name": "Canarygiven", "child_id": "CANARY-1"}
    held = plans([plan(child, **secrets) for child in range(200)])
    with_metadata = held.replace_schema_metadata({"note": "Canarymetadata"})
    part = store.write(with_metadata)
    data = path_of(tmp_path, part.digest).read_bytes()
    for canary in [*secrets.values(), *PLANS.names, "Canarymetadata", nhs(0), nhs(7), nhs(199), "E09000012", "ARROW:schema"]:
        assert canary.encode() not in data, canary
    assert store.read(part.digest).schema.metadata is None


def test_the_cipher_is_uniform_aes_256_gcm_with_the_data_key_wrapped_inside(store, tmp_path):
    data = path_of(tmp_path, store.write(plans([plan(1)])).digest).read_bytes()
    assert data[:4] == data[-4:] == b"PARE"  # the footer is encrypted; PAR1 would be a readable one
    footer = data[-8 - int.from_bytes(data[-8:-4], "little") :]
    # FileCryptoMetaData in Thrift's compact form: field 1, a union, whose field 1 is AesGcmV1 (field 2 is AesGcmCtrV1)
    assert footer.startswith(b"\x1c\x1c")
    material = json.loads(re.search(rb'\{"keyMaterialType".*?\}', footer)[0])
    assert (material["internalStorage"], material["doubleWrapping"], material["masterKeyID"]) == (True, False, KEY_NAME)
    assert len(MasterKey(KEY).unwrap(base64.b64decode(material["wrappedDEK"]), KEY_NAME)) == 32


def test_f71_every_bit_flipped_is_named_before_anything_is_parsed(store, tmp_path):
    part = store.write(plans([plan(child) for child in range(3)]))
    path = path_of(tmp_path, part.digest)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(StateFault, match=f"{part.digest}.* altered"):
            store.read(part.digest)


def test_f71_a_part_cut_short_missing_or_put_in_the_place_of_another_is_named(store, tmp_path):
    one, other = store.write(plans([plan(1)])), store.write(plans([plan(2)]))
    path_of(tmp_path, one.digest).write_bytes(path_of(tmp_path, other.digest).read_bytes())
    with pytest.raises(StateFault, match=f"{one.digest}.* altered"):
        store.read(one.digest)
    path_of(tmp_path, one.digest).write_bytes(b"")
    with pytest.raises(StateFault, match=f"{one.digest}.* altered"):
        store.read(one.digest)
    path_of(tmp_path, one.digest).unlink()
    with pytest.raises(StateFault, match=f"{one.digest}.* missing"):
        store.read(one.digest)


def test_a_folder_in_the_place_of_a_part_is_a_fault_of_the_state(store, tmp_path):
    path_of(tmp_path, "0" * 64).mkdir(parents=True)
    with pytest.raises(StateFault, match="cannot be read"):
        store.read("0" * 64)


def test_f71_bytes_that_are_no_part_are_named_although_their_digest_is_right(store, tmp_path):
    for junk in (b"", b"not a Parquet file", b"PARE" + b"x" * 100 + b"PARE"):
        digest = files.write_named_by_content(tmp_path / "register", junk, SUFFIX)
        with pytest.raises(StateFault, match=digest):
            store.read(digest)


def test_another_master_key_opens_nothing_and_tells_nothing(store, tmp_path):
    part = store.write(plans([plan(1)]))
    with pytest.raises(KeyFault) as refused:
        PartStore(tmp_path / "register", MasterKey(bytes(32))).read(part.digest)
    assert nhs(1) not in str(refused.value)


SORTED = pa.schema([pa.field("code", pa.string(), nullable=False), pa.field("told_at", pa.timestamp("us", tz="UTC"))])


def coded(*codes):
    at = datetime(2026, 11, 20, tzinfo=UTC)
    return pa.table([pa.array(codes, pa.string()), pa.array([at] * len(codes), SORTED.field(1).type)], schema=SORTED)


@pytest.mark.parametrize("repeated", [(), ("code", "told_at")], ids=["plain", "as dictionaries"])
@pytest.mark.parametrize("groups", [[], [coded("A", "A"), coded("B")], [coded("A", "B"), coded("B", "D"), coded("D")]], ids=len)
def test_what_is_written_a_group_at_a_time_is_read_whole_by_group_and_by_value(store, groups, repeated):
    part = store.write_groups(iter(groups), SORTED, repeated)
    whole = pa.concat_tables([SORTED.empty_table(), *groups])
    assert part.rows == whole.num_rows
    assert store.read(part.digest).equals(whole)
    assert store.read(part.digest).schema == SORTED
    assert list(store.groups(part.digest)) == groups
    assert [group.column_names for group in store.groups(part.digest, ["told_at"])] == [["told_at"]] * len(groups)
    for values in (["A"], ["B", "C"], ["D"], ["C"], []):
        kept = [code for code in whole["code"].to_pylist() if code in values]
        assert store.rows_of(part.digest, "code", values).equals(coded(*kept))
    store.prove(part.digest)


def test_rows_are_found_by_value_in_a_part_that_was_written_whole(store):
    part = store.write(coded("A", "B", "B", "C"))
    assert store.rows_of(part.digest, "code", ["B"]).equals(coded("B", "B"))


def test_f68_no_value_can_be_read_in_a_part_written_a_group_at_a_time(store, tmp_path):
    held = plans([plan(child, family_name="Canaryfamily") for child in range(50)])
    part = store.write_groups([held, held], PLANS, ["family_name", "la_code"])
    data = path_of(tmp_path, part.digest).read_bytes()
    assert data[:4] == data[-4:] == b"PARE"
    for canary in ["Canaryfamily", *PLANS.names, nhs(0), nhs(49), "E09000012", "ARROW:schema"]:
        assert canary.encode() not in data, canary
    assert not [path for path in (tmp_path / "register").iterdir() if path.suffix != SUFFIX], "nothing half-written is left"
    assert (part.size, files.digest_of(data)) == (len(data), part.digest)


def test_a_part_that_cannot_be_written_to_its_end_leaves_nothing(store, tmp_path):
    def groups():
        yield coded("A")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write_groups(groups(), SORTED)
    assert list((tmp_path / "register").iterdir()) == []


def test_f71_what_was_altered_is_named_wherever_it_is_read(store, tmp_path):
    part = store.write_groups([coded("A"), coded("B")], SORTED)
    path = path_of(tmp_path, part.digest)
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(StateFault, match=f"{part.digest}.* altered"):
            store.prove(part.digest)
        for read in (lambda: list(store.groups(part.digest)), lambda: store.rows_of(part.digest, "code", ["A", "B"])):
            try:
                found = read()
            except (StateFault, KeyFault):
                continue
            rows = pa.concat_tables([SORTED.empty_table(), *found]) if isinstance(found, list) else found
            assert rows.equals(coded("A", "B")), "what is not proven is true all the same, or is not given"


def test_f71_a_part_that_is_missing_is_named_wherever_it_is_read(store, tmp_path):
    part = store.write_groups([coded("A")], SORTED)
    store.remove(part.digest)
    store.remove(part.digest)
    for read in (store.prove, lambda digest: list(store.groups(digest)), lambda digest: store.rows_of(digest, "code", ["A"])):
        with pytest.raises(StateFault, match=f"{part.digest}.* missing"):
            read(part.digest)


def test_another_master_key_reads_no_group(store, tmp_path):
    part = store.write_groups([coded("A")], SORTED)
    other = PartStore(tmp_path / "register", MasterKey(bytes(32)))
    for read in (lambda: list(other.groups(part.digest)), lambda: other.rows_of(part.digest, "code", ["A"])):
        with pytest.raises(KeyFault):
            read()


def _write_and_read(folder, child):
    worker = PartStore(folder, MasterKey(KEY))
    digest = worker.write(plans([plan(child)])).digest
    return digest, worker.read(digest)["nhs_number"].to_pylist()


@pytest.mark.parametrize(
    "method", ["forkserver", pytest.param("fork", marks=pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"))]
)
def test_worker_processes_write_and_read_side_by_side(store, tmp_path, method):
    store.read(store.write(plans([plan(99)])).digest)  # this process has used the library before it forks
    folder = tmp_path / "register"
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as workers:
        done = list(workers.map(_write_and_read, [folder] * 6, range(6)))
    for child, (digest, numbers) in enumerate(done):
        assert numbers == [nhs(child)] == store.read(digest)["nhs_number"].to_pylist()


def test_the_same_table_written_twice_is_encrypted_anew_each_time(store):
    held = plans([plan(1)])
    assert store.write(held).digest != store.write(held).digest
