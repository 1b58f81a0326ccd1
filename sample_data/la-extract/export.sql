-- Writes an LA extract 1.0: one column, `line`, a row a line of the file, in order.
--
-- Made for SQLite and kept to plain SQL; for other databases change what is marked (*). It expects
--   cpis_plan(nhs_number, child_id, family_name, given_name, date_of_birth, plan_type, start_date, end_date, delete_date)
--     a view over your case system: dates as YYYY-MM-DD text, empty values NULL, plan_type CPP, LAC or UCPP;
--   cpis_export(environment, la_code, kind, sequence, extracted_at, office_phone, emergency_phone)
--     one row: how this extract is to be headed. Raise `sequence` by one each time.
--
-- Export the column as text in UTF-8, without a heading and without quotes of the tool's own: the quoting is done here.

WITH plan AS (
    -- A value with a comma or a quote goes into quotes, its own quotes doubled; a line break becomes a space.
    SELECT
        nhs_number,
        CASE WHEN child_id LIKE '%,%' OR child_id LIKE '%"%'
             THEN '"' || replace(child_id, '"', '""') || '"' ELSE coalesce(child_id, '') END AS child_id,
        CASE WHEN family_name LIKE '%,%' OR family_name LIKE '%"%'
             THEN '"' || replace(family_name, '"', '""') || '"' ELSE coalesce(family_name, '') END AS family_name,
        CASE WHEN given_name LIKE '%,%' OR given_name LIKE '%"%'
             THEN '"' || replace(given_name, '"', '""') || '"' ELSE coalesce(given_name, '') END AS given_name,
        date_of_birth, plan_type, start_date, end_date, delete_date
    FROM (
        SELECT
            replace(replace(nhs_number, ' ', ''), '-', '') AS nhs_number,
            replace(replace(child_id, char(13), ''), char(10), ' ') AS child_id,              -- (*) char(10), char(13)
            replace(replace(family_name, char(13), ''), char(10), ' ') AS family_name,
            replace(replace(given_name, char(13), ''), char(10), ' ') AS given_name,
            date_of_birth, plan_type, start_date, end_date, delete_date
        FROM cpis_plan
        -- Plans that ended more than a year before the extract are not kept by the service.
        WHERE end_date IS NULL
           OR end_date >= (SELECT date(substr(extracted_at, 1, 10), '-365 days') FROM cpis_export)  -- (*) date arithmetic
    )
)
SELECT line FROM (
    SELECT 1 AS part, 0 AS place,
           'H,CPIS-LA-EXTRACT,1.0,' || environment || ',' || la_code || ',' || kind || ',' || sequence || ','
           || extracted_at || ',' || coalesce(office_phone, '') || ',' || coalesce(emergency_phone, '') AS line
    FROM cpis_export
    UNION ALL
    SELECT 2, row_number() OVER (ORDER BY nhs_number, plan_type, start_date),
           'D,' || coalesce(nhs_number, '') || ',' || child_id || ',' || family_name || ',' || given_name || ','
           || coalesce(date_of_birth, '') || ',' || coalesce(plan_type, '') || ',' || coalesce(start_date, '') || ','
           || coalesce(end_date, '') || ',' || coalesce(delete_date, '')
    FROM plan
    UNION ALL
    -- The hash total: what is not all digits counts nothing.                       (*) GLOB is SQLite's; elsewhere a regular
    SELECT 3, 0, 'T,' || count(*) || ','                                         -- expression or TRY_CAST does the same.
           || coalesce(sum(CASE WHEN nhs_number <> '' AND nhs_number NOT GLOB '*[^0-9]*'
                                THEN CAST(nhs_number AS INTEGER) ELSE 0 END) % 10000000000, 0)
    FROM plan
) AS file
ORDER BY part, place;
