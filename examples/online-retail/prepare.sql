-- How data/customers.csv was made: the customers that the lines name, once each, as whole numbers. DuckDB, in this folder:
--   duckdb < prepare.sql
copy (
  select distinct cast("Customer ID" as bigint) as customer_id
  from read_parquet('data/online_retail.parquet')
  where "Customer ID" is not null
  order by customer_id
) to 'data/customers.csv' (header);
