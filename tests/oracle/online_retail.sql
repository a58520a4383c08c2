-- What examples/online-retail must give at --as-of 2010-12-10T00:00:00Z, worked out by hand in DuckDB's SQL from
-- examples/online-retail/data/online_retail.parquet alone (customers.csv is not read).
--
-- Gives:  oracle_customers (first column: the natural key), oracle_segments, oracle_syncs, oracle_tolerances.
-- Run from the repository's root.

set TimeZone = 'UTC';

-- Everything is compared on London's wall clock, which is what the file has. as_of is midnight there (winter), so windows
-- begin at midnight N days before 2010-12-10:
--   90 days: 2010-09-11    6 weeks: 2010-10-29    6 months: 2010-06-10    9 months: 2010-03-10    1 year: 2009-12-10
-- 48 hours are exact: later than 2010-12-08 00:00.
create macro utc(wall) as wall - case when wall >= timestamp '2010-03-28 02:00:00' and wall < timestamp '2010-10-31 01:00:00'
                                      then interval 1 hour else interval 0 hour end;

create table lines as
select Invoice as invoice, StockCode as product, Quantity as quantity, cast(Price as decimal(12, 3)) as price,
       cast(Quantity as decimal(12, 0)) * cast(Price as decimal(12, 3)) as amount,
       strptime(InvoiceDate, '%Y-%m-%d %H:%M:%S') as wall, cast("Customer ID" as integer) as customer, Country as country,
       starts_with(Invoice, 'C') as cancelled, regexp_matches(StockCode, '^[0-9]') as is_product
from read_parquet('examples/online-retail/data/online_retail.parquet');

create table purchases as
select * from lines
where not cancelled and quantity > 0 and price > 0 and customer is not null and wall <= timestamp '2010-12-10 00:00:00';
create table cancellations as
select * from lines where cancelled and customer is not null and wall <= timestamp '2010-12-10 00:00:00';

create table purchase_traits as
select customer,
  count(distinct invoice) as invoices,
  count(distinct invoice) filter (wall >= timestamp '2010-09-11') as invoices_90d,
  count(*) as lines,
  count(*) filter (wall >= timestamp '2010-03-10') as lines_9mo,
  count(*) filter (wall > timestamp '2010-12-08 00:00:00') as lines_48h,
  sum(quantity) as units,
  sum(amount) as revenue,
  sum(amount) filter (wall >= timestamp '2010-09-11') as revenue_90d,
  sum(amount) filter (is_product) as revenue_products,
  count(distinct product) filter (is_product) as products,
  cast(sum(price) as double) / count(*) as average_price,
  max(price) as dearest_price,
  min(price) as cheapest_price,
  min(utc(wall)) as first_purchase_at,
  max(utc(wall)) as last_purchase_at,
  count(*) filter (wall >= timestamp '2010-06-10') as lines_6mo,
  count(*) filter (wall >= timestamp '2010-10-29' and is_product) as product_lines_6w,
  count(*) filter (quantity >= 1000) as bulk_lines,
  count(*) filter (product = '85123A') as hearts
from purchases group by customer;

-- The country of the first and of the last line. A second never has two countries for a customer, so the place in the file
-- does not matter; this fails if it ever does.
create table seconds as select customer, wall, min(country) as country, count(distinct country) as n from purchases group by all;
select case when max(n) > 1 then error('two countries in one second') end from seconds;
create table last_countries as select customer, arg_max(country, wall) as country, arg_min(country, wall) as first_country from seconds group by customer;

create table favourites as
select customer, product as favourite_product from purchases where is_product group by customer, product
qualify row_number() over (partition by customer order by count(*) desc, product) = 1;

create table cancellation_traits as
select customer,
  count(distinct invoice) as cancellations,
  count(*) as cancelled_lines,
  sum(amount) as cancelled_amount,
  max(utc(wall)) as last_cancelled_at,
  count(*) filter (wall >= timestamp '2009-12-10') as cancelled_lines_1y,
  count(*) filter (product = '85123A') as hearts_back
from cancellations group by customer;

create table points as
select customer, sum(points) as engagement from (
  select customer, pow(0.5, (date '2010-12-10' - cast(wall as date)) / 60.0) as points from purchases
  union all
  select customer, -2 * pow(0.5, (date '2010-12-10' - cast(wall as date)) / 30.0) from cancellations)
group by customer;

create table everything as
select k.customer as customer_number,
  coalesce(invoices, 0) as invoices, coalesce(invoices_90d, 0) as invoices_90d, coalesce(lines, 0) as lines,
  coalesce(lines_9mo, 0) as lines_9mo, coalesce(lines_48h, 0) as lines_48h, coalesce(units, 0) as units,
  coalesce(revenue, 0) as revenue, coalesce(revenue_90d, 0) as revenue_90d, coalesce(revenue_products, 0) as revenue_products,
  coalesce(products, 0) as products, favourite_product, country, first_country, average_price, dearest_price, cheapest_price,
  first_purchase_at, last_purchase_at,
  coalesce(cancellations, 0) as cancellations, coalesce(cancelled_lines, 0) as cancelled_lines,
  coalesce(cancelled_amount, 0) as cancelled_amount, last_cancelled_at,
  coalesce(revenue, 0) + coalesce(cancelled_amount, 0) as net_revenue,
  cast(lines as double) / invoices as lines_per_invoice,
  cast(-coalesce(cancelled_amount, 0) as double) / cast(revenue as double) as return_share,
  coalesce(engagement, 0) as engagement,
  coalesce(lines_6mo, 0) as lines_6mo, coalesce(product_lines_6w, 0) as product_lines_6w, coalesce(bulk_lines, 0) as bulk_lines,
  coalesce(hearts, 0) as hearts, coalesce(cancelled_lines_1y, 0) as cancelled_lines_1y, coalesce(hearts_back, 0) as hearts_back
from (select distinct customer from lines where customer is not null) k
left join purchase_traits using (customer) left join last_countries using (customer) left join favourites using (customer)
left join cancellation_traits using (customer) left join points using (customer);

create table oracle_customers as
select * exclude (lines_6mo, product_lines_6w, bulk_lines, hearts, cancelled_lines_1y, hearts_back) from everything;

-- Decayed points are powers of two, in fixed point there and in floating point here.
create table oracle_tolerances (column_name varchar, tolerance double);
insert into oracle_tolerances values ('engagement', 0.001);

create table oracle_segments as
with e as (
  select customer_number as key, *,
    lines > 0 as buyer,
    lines > 0 and lines_6mo = 0 as lapsed,
    bulk_lines > 0 or revenue > 10000 as wholesaler,
    cancelled_lines_1y >= 3 and revenue > 0 and -cancelled_amount > 0.1 * revenue as returner
  from everything)
select 'buyers' as segment, key, true as certain from e where buyer
union all select 'only_cancelled', key, true from e where not buyer
union all select 'wholesalers', key, true from e where wholesaler
union all select 'wholesalers_abroad', key, true from e where wholesaler and country <> 'United Kingdom'
union all select 'lapsed', key, true from e where lapsed
union all select 'lapsed_valuable', key, true from e where lapsed and net_revenue >= 1000
union all select 'christmas_shoppers', key, true from e where product_lines_6w >= 40
union all select 'serial_returners', key, true from e where returner
union all select 'never_returned', key, true from e where buyer and cancelled_lines = 0
union all select 'hanging_heart', key, true from e where hearts >= 2 and hearts_back = 0
union all select 'gone_since_summer', key, true from e where last_purchase_at < timestamp '2010-07-13 00:00:00'
union all select 'core', key, true from e where buyer and not lapsed and not returner;

create table oracle_syncs as
select 'win_back' as sync, count(*) as least, count(*) as greatest
from oracle_segments join everything on key = customer_number where segment = 'lapsed_valuable' and country = 'United Kingdom'
union all
select 'wholesalers_abroad', count(*), count(*) from oracle_segments where segment = 'wholesalers_abroad'
union all
select 'everyone', count(*), count(*) from everything;
