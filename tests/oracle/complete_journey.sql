-- What examples/complete-journey must give at --as-of 2018-01-01T00:00:00Z, worked out by hand in DuckDB's SQL from the
-- files in examples/complete-journey/data alone. It shares nothing with Cohorte: dates of windows are written out, local
-- days are computed from the hours at which New York changed its clocks in 2017, and visits are grouped from the lines,
-- not read from baskets.csv.gz.
--
-- Gives:  oracle_customers (first column: the natural key), oracle_segments, oracle_tiers, oracle_syncs, oracle_tolerances.
-- Run from the repository's root.

set TimeZone = 'UTC';

-- ---------------------------------------------------------------------------------------------------------------- dates
-- as_of is 19:00 on 2017-12-31 in New York. So windows begin at midnight there, written here in UTC:
--   45 days before: 2017-11-16, winter time (UTC-5)
--   90 days before: 2017-10-02, summer time (UTC-4)        180 days: 2017-07-04        6 months: 2017-06-30 (June has no 31st)
--   1 year: 2016-12-31, winter time (UTC-5)
create macro as_of()     as timestamp '2018-01-01 00:00:00';
create macro since_90d() as timestamp '2017-10-02 04:00:00';
create macro since_45d() as timestamp '2017-11-16 05:00:00';
create macro since_180d() as timestamp '2017-07-04 04:00:00';
create macro since_6mo() as timestamp '2017-06-30 04:00:00';
create macro since_1y()  as timestamp '2016-12-31 05:00:00';

-- Summer time in New York: 2017-03-12 07:00 to 2017-11-05 06:00, UTC.
create macro new_york_day(t) as cast(t - case when t >= timestamp '2017-03-12 07:00:00' and t < timestamp '2017-11-05 06:00:00'
                                              then interval 4 hour else interval 5 hour end as date);
-- Midnight of a day in New York, in UTC (the clocks change after midnight, on these days).
create macro new_york_midnight(d) as cast(d as timestamp)
  + case when d > date '2017-03-12' and d <= date '2017-11-05' then interval 4 hour else interval 5 hour end;
create macro exact(x) as cast(x as decimal(38, 9));

-- ----------------------------------------------------------------------------------------------------------------- rows
create table lines as
select household_id, store_id, basket_id, product_id, quantity, exact(sales_value) as amount,
       exact(retail_disc) + exact(coupon_disc) + exact(coupon_match_disc) as saved, transaction_timestamp as moment
from read_csv('examples/complete-journey/data/basket_lines.csv.gz')
where transaction_timestamp <= as_of();

create table products as select * from read_csv('examples/complete-journey/data/products.csv.gz');

create table bought as
select l.*, p.department, p.brand, p.product_category as category
from lines l left join products p using (product_id);

create table visits as
select household_id, basket_id, store_id, moment, sum(amount) as amount
from lines group by household_id, basket_id, store_id, moment;

create table redemptions as
select household_id, campaign_id, new_york_midnight(redemption_date) as moment, redemption_date as day
from read_csv('examples/complete-journey/data/coupon_redemptions.csv')
where new_york_midnight(redemption_date) <= as_of();

create table mailings as
select m.household_id, m.campaign_id, c.campaign_type
from read_csv('examples/complete-journey/data/campaigns.csv') m
left join read_csv('examples/complete-journey/data/campaign_descriptions.csv') c using (campaign_id);

create table households as
select distinct household_id from (
  select household_id from read_csv('examples/complete-journey/data/basket_lines.csv.gz')
  union all select household_id from read_csv('examples/complete-journey/data/demographics.csv')
  union all select household_id from read_csv('examples/complete-journey/data/campaigns.csv')
  union all select household_id from read_csv('examples/complete-journey/data/coupon_redemptions.csv'));

-- --------------------------------------------------------------------------------------------------------------- traits
create table visit_traits as
select household_id,
  count(*) as visits,
  count(*) filter (moment >= since_90d()) as visits_90d,
  count(*) filter (moment >= since_6mo()) as visits_6mo,
  count(*) filter (moment >= since_45d()) as visits_45d,
  count(*) filter (amount >= 20) as big_visits,
  sum(amount) as revenue,
  sum(amount) filter (moment >= since_90d()) as revenue_90d,
  cast(sum(amount) as double) / count(*) as average_visit,
  min(amount) as smallest_visit,
  max(amount) as biggest_visit,
  cast(sum(amount) filter (moment >= since_6mo()) as double) / count(*) filter (moment >= since_6mo()) as average_visit_6mo,
  min(moment) as first_visit_at,
  max(moment) as last_visit_at,
  count(distinct store_id) as stores,
  count(*) filter (amount >= 50 and moment >= since_6mo()) as visits_of_50_6mo
from visits group by household_id;

-- The earliest and the latest visit; in the same second the basket's number decides, as text.
create table first_stores as
select household_id, store_id as first_store from visits
qualify row_number() over (partition by household_id order by moment, cast(basket_id as varchar)) = 1;
create table last_stores as
select household_id, store_id as last_store from visits
qualify row_number() over (partition by household_id order by moment desc, cast(basket_id as varchar) desc) = 1;

-- The most frequent value; on a tie the least one.
create table favourite_stores as
select household_id, store_id as favourite_store from visits group by household_id, store_id
qualify row_number() over (partition by household_id order by count(*) desc, store_id) = 1;
create table favourite_departments as
select household_id, department as favourite_department from bought where department is not null group by household_id, department
qualify row_number() over (partition by household_id order by count(*) desc, department) = 1;
create table favourite_categories as
select household_id, category as favourite_category from bought where category is not null and department <> 'FUEL'
group by household_id, category
qualify row_number() over (partition by household_id order by count(*) desc, category) = 1;

create table line_traits as
select household_id,
  count(*) as lines,
  count(distinct product_id) as distinct_products,
  count(distinct department) as departments,
  sum(amount) filter (brand = 'Private') as private_label,
  sum(amount) filter (department = 'PRODUCE' and moment >= since_90d()) as produce_90d,
  count(*) filter (category = 'BEERS/ALES' and quantity > 0) as alcohol_lines,
  sum(saved) as saved,
  count(*) filter (department in ('PRODUCE', 'SEAFOOD', 'MEAT') and moment >= since_180d()) as fresh_180d,
  count(*) filter (category = 'BEERS/ALES') as beer,
  count(*) filter (category = 'BAG SNACKS') as crisps
from bought group by household_id;

create table mailing_traits as
select household_id, count(*) as mailings_received, count(*) filter (campaign_type = 'Type A') as mailings_type_a
from mailings group by household_id;

create table coupon_traits as
select household_id, count(*) as coupons_redeemed, count(distinct campaign_id) as coupon_campaigns, max(moment) as last_coupon_at,
       count(*) filter (moment >= since_1y()) as coupons_1y
from redemptions group by household_id;

create table everything as
select h.household_id,
  d.age, d.income, d.home_ownership, d.marital_status, d.household_comp, d.kids_count,
  coalesce(visits, 0) as visits, coalesce(visits_90d, 0) as visits_90d, coalesce(visits_6mo, 0) as visits_6mo,
  coalesce(big_visits, 0) as big_visits, coalesce(revenue, 0) as revenue, coalesce(revenue_90d, 0) as revenue_90d,
  average_visit, smallest_visit, biggest_visit, average_visit_6mo, first_visit_at, last_visit_at,
  first_store, last_store, favourite_store, coalesce(stores, 0) as stores,
  coalesce(lines, 0) as lines, coalesce(distinct_products, 0) as distinct_products, coalesce(departments, 0) as departments,
  favourite_department, favourite_category,
  coalesce(private_label, 0) as private_label, coalesce(produce_90d, 0) as produce_90d,
  coalesce(alcohol_lines, 0) as alcohol_lines, coalesce(saved, 0) as saved,
  coalesce(mailings_received, 0) as mailings_received, coalesce(mailings_type_a, 0) as mailings_type_a,
  coalesce(coupons_redeemed, 0) as coupons_redeemed, coalesce(coupon_campaigns, 0) as coupon_campaigns, last_coupon_at,
  coalesce(coupons_1y, 0) as coupons_1y,
  coalesce(visits_45d, 0) as visits_45d, coalesce(visits_of_50_6mo, 0) as visits_of_50_6mo, coalesce(fresh_180d, 0) as fresh_180d, coalesce(beer, 0) as beer, coalesce(crisps, 0) as crisps
from households h
left join read_csv('examples/complete-journey/data/demographics.csv') d using (household_id)
left join visit_traits using (household_id) left join first_stores using (household_id) left join last_stores using (household_id)
left join favourite_stores using (household_id) left join favourite_departments using (household_id)
left join favourite_categories using (household_id) left join line_traits using (household_id)
left join mailing_traits using (household_id) left join coupon_traits using (household_id);

-- Points halve with every half-life of whole local days: 10 a visit (60 days), 25 a coupon (90 days).
create table engagement as
select household_id, sum(points) as engagement from (
  select household_id, 10 * pow(0.5, (date '2017-12-31' - new_york_day(moment)) / 60.0) as points from visits
  union all
  select household_id, 25 * pow(0.5, (date '2017-12-31' - day) / 90.0) from redemptions)
group by household_id;

create table oracle_customers as
select e.household_id as household, e.* exclude (household_id, visits_45d, visits_of_50_6mo, fresh_180d, beer, crisps),
  cast(private_label as double) / nullif(cast(revenue as double), 0) as private_label_share,
  round(saved / nullif(saved + revenue, 0), 4) as saving_rate,
  case when coupons_redeemed = 0 then 'never' when coupons_1y >= 3 then 'often' else 'sometimes' end as coupon_habit,
  coalesce(engagement, 0) as engagement
from everything e left join engagement using (household_id);

-- Decayed points are powers of two, in fixed point there and in floating point here. A rounded quotient may fall either way.
create table oracle_tolerances (column_name varchar, tolerance double);
insert into oracle_tolerances values ('engagement', 0.001), ('saving_rate', 0.0001);

-- ------------------------------------------------------------------------------------------------------------------ rfm
-- Tiers by rank: 1 + floor(5 * (rank - 1) / n), 5 is best. Households with equal values are ranked by their id, which is a
-- hash: so each tier is known as the range that the tied households share, and the sizes of the tiers are known exactly.
create table rfm_values as
select household_id, date '2017-12-31' - new_york_day(max(moment)) as days, count(*) as times, sum(amount) as money
from visits group by household_id;

create table oracle_tiers as
with ranked as (
  select household_id,
    rank() over (order by days desc) as r_least, rank() over (order by days) as r_rest,
    rank() over (order by times) as f_least, rank() over (order by times desc) as f_rest,
    rank() over (order by money) as m_least, rank() over (order by money desc) as m_rest,
    count(*) over () as n
  from rfm_values)
select household_id as key, 'rfm_recency' as column_name, 1 + 5 * (r_least - 1) // n as least, 1 + 5 * (n - r_rest) // n as greatest from ranked
union all
select household_id, 'rfm_frequency', 1 + 5 * (f_least - 1) // n, 1 + 5 * (n - f_rest) // n from ranked
union all
select household_id, 'rfm_monetary', 1 + 5 * (m_least - 1) // n, 1 + 5 * (n - m_rest) // n from ranked;

create table oracle_tier_sizes as
with n as (select count(*) as n from rfm_values), ranks as (select unnest(range(0, n)) as r, n from n),
sizes as (select 1 + 5 * r // n as tier, count(*) as size from ranks group by all)
select column_name, tier, size from sizes, (values ('rfm_recency'), ('rfm_frequency'), ('rfm_monetary')) as c(column_name);

create table tiers as
pivot (select key as household_id, column_name, least, greatest from oracle_tiers)
on column_name using any_value(least) as least, any_value(greatest) as greatest group by household_id;

-- ------------------------------------------------------------------------------------------------------------- segments
-- `certain` is false where a tied tier may fall either way: such a household may be a member, and need not be.
create table oracle_segments (segment varchar, key bigint, certain boolean);

insert into oracle_segments
select 'regulars', household_id, true from everything where visits_90d >= 4
union all select 'one_visit', household_id, true from everything where visits = 1
union all select 'never_seen', household_id, true from everything where visits = 0
union all select 'lapsed', household_id, true from everything where visits > 0 and visits_90d = 0
union all select 'lapsed_by_date', household_id, true from everything where last_visit_at < timestamp '2017-10-03 00:00:00'
union all select 'lapsed_high_spenders', household_id, true from everything where visits_45d = 0 and revenue >= 60
union all select 'lapsed_high_spenders_who_redeemed', household_id, true from everything
  where visits_45d = 0 and revenue >= 60 and coupons_redeemed > 0
union all select 'mailed_in_vain', household_id, true from everything
  where mailings_type_a > 0 and coupons_redeemed = 0 and visits > 0
union all select 'big_basket_or_often', household_id, true from everything where visits_of_50_6mo > 0 or visits_90d >= 4
union all select 'fresh_food_lovers', household_id, true from everything where fresh_180d >= 10
union all select 'beer_and_crisps', household_id, true from everything where beer > 0 and crisps > 0
union all select 'families', household_id, true from everything
  where kids_count in ('1', '2', '3+') and home_ownership = 'Homeowner'
union all select 'not_known_to_be_modest', household_id, true from everything
  where income is null or income not in ('Under 15K', '15-24K', '25-34K')
union all select 'private_label_households', household_id, true from everything where private_label > 0.4 * revenue and visits >= 5
union all select 'champions', household_id, rfm_recency_least = 5 and rfm_frequency_least >= 4 and rfm_monetary_least >= 4 from tiers
  where rfm_recency_greatest = 5 and rfm_frequency_greatest >= 4 and rfm_monetary_greatest >= 4;

insert into oracle_segments
select 'campaign_' || lpad(cast(campaign_id as varchar), 2, '0'), household_id, true
from mailings m
where not exists (select 1 from redemptions r where r.household_id = m.household_id and r.campaign_id = m.campaign_id);

-- ---------------------------------------------------------------------------------------------------------------- syncs
create table oracle_syncs as
select 'win_back' as sync, count(*) as least, count(*) as greatest from oracle_segments where segment = 'lapsed_high_spenders_who_redeemed'
union all
select 'good_homes', count(*) filter (rfm_monetary_least >= 4), count(*)
from tiers join everything using (household_id) where rfm_monetary_greatest >= 4 and home_ownership = 'Homeowner'
union all
select segment, count(*), count(*) from oracle_segments where segment like 'campaign\_%' escape '\' group by segment;
