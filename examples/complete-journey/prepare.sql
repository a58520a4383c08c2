-- How data/ was made from the published files of 84.51° Complete Journey: what a user would do in the warehouse before
-- anything else. DuckDB, in a folder with the published files:  duckdb < prepare.sql
--
-- The files came out of R, which writes the product 900000 as 9e+05 and the basket 40128000000 as 4.0128e+10, in columns of
-- whole numbers. Read as text, mend it
-- once, and nobody downstream has to know.

create macro whole(id) as cast(cast(id as double) as bigint);

-- Lines, as published; the ids mended.
copy (
  select household_id, store_id, whole(basket_id) as basket_id, whole(product_id) as product_id, cast(cast(quantity as double) as bigint) as quantity,
         sales_value, retail_disc, coupon_disc, coupon_match_disc, week, transaction_timestamp
  from read_csv('transactions_sample.csv.gz', all_varchar = true)
  order by transaction_timestamp, basket_id, whole(product_id)
) to 'data/basket_lines.csv.gz' (header, compression gzip);

-- The lines tell what was bought; a visit is a basket, and nobody published the baskets. One household, one store and one
-- time per basket: that was checked.
copy (
  select cast(basket_id as bigint) as basket_id, any_value(cast(household_id as bigint)) as household_id,
         any_value(cast(store_id as bigint)) as store_id, any_value(transaction_timestamp) as bought_at,
         sum(cast(sales_value as decimal(12, 2))) as amount
  from read_csv('transactions_sample.csv.gz', all_varchar = true)
  group by basket_id
  order by bought_at, basket_id
) to 'data/baskets.csv.gz' (header, compression gzip);

-- Products that were sold; the published file has 92,331.
copy (
  select whole(product_id) as product_id, manufacturer_id, department, brand, product_category, product_type, package_size
  from read_csv('products.csv.gz', all_varchar = true)
  where whole(product_id) in (select whole(product_id) from read_csv('transactions_sample.csv.gz', all_varchar = true))
  order by whole(product_id)
) to 'data/products.csv.gz' (header, compression gzip);

-- Who is a customer: every household that anything was published about.
copy (
  select household_id from (
    select cast(household_id as bigint) as household_id from read_csv('transactions_sample.csv.gz', all_varchar = true)
    union select cast(household_id as bigint) from read_csv('demographics.csv', all_varchar = true)
    union select cast(household_id as bigint) from read_csv('campaigns.csv', all_varchar = true)
    union select cast(household_id as bigint) from read_csv('coupon_redemptions.csv', all_varchar = true))
  order by household_id
) to 'data/households.csv' (header);
-- demographics.csv, campaigns.csv, campaign_descriptions.csv and coupon_redemptions.csv are as published.
