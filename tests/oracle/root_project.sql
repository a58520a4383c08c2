-- What the root project (warehouse.yaml, models/, data/) must give at ${as_of}, worked out by hand in DuckDB's SQL from data/.
--
-- Who is who is Cohorte's own answer here: customer_identifiers and customer_records are read as built, and so are the golden
-- attributes. Everything that follows from them (traits, segments, consents) is computed again from the raw files.
--
-- A value that identity left with two customers (a shared device, a refused union) sends its rows to one of them by rules that
-- are not repeated here: those customers are in oracle_skipped, and compared by nothing. compare.py refuses more than a tenth.

set TimeZone = 'UTC';
load icu;

-- ---------------------------------------------------------------------------------------------------------------- dates
create table moment as
select cast(timestamptz '${as_of}' as timestamp) as as_of, cast(timezone('Europe/Paris', timestamptz '${as_of}') as date) as today;
-- From the start of the local day n days before, in UTC.
create macro since(n) as (select cast(timezone('Europe/Paris', cast(today - cast(n as integer) as timestamp)) as timestamp) from moment);
create macro as_of() as (select as_of from moment);
create macro today() as (select today from moment);
create macro instant(t) as cast(cast(t as timestamptz) as timestamp);
create macro paris_day(t) as cast(timezone('Europe/Paris', cast(t as timestamptz)) as date);
create macro paris(t) as cast(timezone('Europe/Paris', cast(t as timestamp)) as timestamp);
create macro mail(t) as lower(trim(t));
-- 06 12.., +33 6 12.., 0033612..: one number.
create macro e164(t) as '+33' || regexp_extract(regexp_replace(t, '[^0-9+]', '', 'g'), '^(?:\+33|0033|0)?0?([1-9][0-9]{8})$', 1);

-- --------------------------------------------------------------------------------------------------------- who is who
create table identities as select distinct customer_id, type, value from delta_scan('${tables}/customer_identifiers');
create table golden as select customer_id, email, country, birth_date, rfm from delta_scan('${tables}/customer');
create table records as select source, record_key, customer_id from delta_scan('${tables}/customer_records');
create table who as
select type, value, any_value(customer_id) as customer_id, count(distinct customer_id) as n from identities group by all;
create table known as select distinct customer_id from records where source in ('crm_contacts', 'web_accounts');
create table skipped_values as select type, value from who where n > 1;
create table oracle_skipped as
select distinct customer_id as key from identities semi join skipped_values using (type, value);

-- ----------------------------------------------------------------------------------------------------------------- rows
create table orders as
select o.order_id, coalesce(a.customer_id, m.customer_id) as customer_id, instant(ordered_at) as t, status, cast(total as decimal(38, 9)) as amount, channel
from read_csv('data/orders.csv.gz', all_varchar = true) o
left join who a on a.type = 'account_id' and a.value = o.customer_ref
left join who m on m.type = 'email' and m.value = mail(o.email);

create table order_lines as
select l.order_id, l.line_no, l.sku, cast(l.quantity as integer) * cast(l.unit_price as decimal(38, 9)) as amount, o.customer_id, o.t, o.status, p.category, p.brand
from read_csv('data/order_lines.csv.gz', all_varchar = true) l
join orders o using (order_id)
left join read_csv('data/products.csv', all_varchar = true) p using (sku);

create table tickets as
select k.ticket_id, w.customer_id, cast(sold_at as timestamp) as t, cast(total_ttc as decimal(38, 9)) as amount, shop_id
from read_parquet('data/tickets.parquet') k left join who w on w.type = 'card_no' and w.value = k.card_no;

create table purchases as
select * from (
  select customer_id, t, amount, 'web' as shop, channel, 'orders' as source, order_id as key from orders where status = 'paid'
  union all
  select customer_id, t, amount, shop_id, 'shop', 'tickets', ticket_id from tickets)
where customer_id is not null and t <= as_of();

create table visits as
select e.event_id, e.name, e.path, coalesce(a.customer_id, d.customer_id) as customer_id, instant(occurred_at) as t,
       e.props ->> 'sku' as sku, e.props ->> 'category' as category
from read_json('data/web_events/*.ndjson.gz', format = 'newline_delimited',
               columns = {event_id: 'varchar', anonymous_id: 'varchar', user_id: 'varchar', name: 'varchar', path: 'varchar', props: 'json', occurred_at: 'varchar'}) e
left join who a on a.type = 'account_id' and a.value = e.user_id
left join who d on d.type = 'anonymous_id' and d.value = e.anonymous_id
where instant(occurred_at) <= as_of();

create table mails as
select e.event_id, w.customer_id, mail(e.recipient) as recipient, e.campaign, e.kind, instant(occurred_at) as t
from read_json('data/email_events/*.ndjson.gz', format = 'newline_delimited',
               columns = {event_id: 'varchar', recipient: 'varchar', campaign: 'varchar', kind: 'varchar', occurred_at: 'varchar'}) e
left join who w on w.type = 'email' and w.value = mail(e.recipient)
where instant(occurred_at) <= as_of();

create table requests as
select w.customer_id, r.priority, r.satisfaction, instant(opened_at) as t
from read_json('data/support_tickets.ndjson', format = 'newline_delimited',
               columns = {ticket_id: 'varchar', requester_email: 'varchar', topic: 'varchar', priority: 'varchar', satisfaction: 'integer', opened_at: 'varchar', closed_at: 'varchar'}) r
join who w on w.type = 'email' and w.value = mail(r.requester_email)
where instant(opened_at) <= as_of();

create table cards as
select w.customer_id, cast(issued_at as date) as issued_at
from read_csv('data/loyalty_cards.csv', all_varchar = true) c join who w on w.type = 'card_no' and w.value = c.card_no;

create table staff as
select distinct w.customer_id from read_csv('data/staff.csv', all_varchar = true) s join who w on w.type = 'email' and w.value = mail(s.email);

-- --------------------------------------------------------------------------------------------------------------- traits
create table purchase_traits as
select customer_id,
  count(*) as orders,
  count(*) filter (t >= since(90)) as orders_90d,
  count(*) filter (t >= since(365)) as orders_365d,
  count(*) filter (channel <> 'shop') as web_orders,
  count(*) filter (channel = 'shop') as shop_orders,
  sum(amount) as revenue,
  sum(amount) filter (t >= since(365)) as revenue_365d,
  min(t) as first_order_at,
  max(t) as last_order_at,
  min(amount) as smallest_basket,
  max(amount) as biggest_basket,
  cast(sum(amount) as double) / count(*) as mean_basket,
  count(*) filter (t >= since(14)) as orders_14d,
  count(*) filter (t >= since(180)) as orders_180d,
  count(*) filter (t >= since(270)) as orders_270d
from purchases group by customer_id;

create table favourite_shops as
select customer_id, shop as favourite_shop from purchases group by customer_id, shop
qualify row_number() over (partition by customer_id order by count(*) desc, shop) = 1;
create table channels as
select customer_id, arg_min(channel, (t, source, key)) as first_channel, arg_max(channel, (t, source, key)) as last_channel
from purchases group by customer_id;

create table line_traits as
select customer_id,
  sum(amount) filter (status = 'paid' and brand = 'Maison') as revenue_house_brand,
  sum(amount) filter (status = 'paid' and category = 'Salon') as revenue_salon,
  count(distinct sku) as products_ordered
from order_lines where customer_id is not null and t <= as_of() group by customer_id;

create table undone as
select customer_id, count(*) as orders_undone from orders
where status in ('cancelled', 'refunded') and customer_id is not null and t <= as_of() group by customer_id;

create table visit_traits as
select customer_id,
  count(*) filter (name = 'page_viewed' and t >= since(30)) as visits_30d,
  count(*) filter (name = 'product_viewed' and t >= since(30)) as products_viewed_30d,
  count(distinct sku) filter (name = 'product_viewed' and t >= since(90)) as different_products_viewed_90d,
  count(*) filter (name = 'brochure_downloaded') as brochures,
  max(t) as last_visit_at,
  count(*) filter (name = 'brochure_downloaded' and t >= since(60)) as brochures_60d,
  count(*) filter (name = 'cart_updated' and t >= since(14)) as carts_14d,
  count(*) filter (name = 'product_viewed' and category = 'Salon' and t >= since(60)) as salon_60d,
  count(*) filter (name = 'product_viewed' and t >= since(21)) as products_viewed_21d
from visits where customer_id is not null group by customer_id;

create table favourite_categories as
select customer_id, category as favourite_category from visits
where name = 'product_viewed' and category is not null and customer_id is not null group by customer_id, category
qualify row_number() over (partition by customer_id order by count(*) desc, category) = 1;

create table mail_traits as
select customer_id,
  count(*) filter (kind = 'opened' and t >= since(90)) as emails_opened_90d,
  count(*) filter (kind = 'clicked' and t >= since(90)) as emails_clicked_90d,
  max(t) filter (kind = 'clicked') as last_click_at,
  arg_max(campaign, (t, event_id)) filter (kind = 'clicked') as last_campaign_clicked,
  count(*) filter (kind = 'bounced') as bounces
from mails where customer_id is not null group by customer_id;

create table request_traits as
select customer_id,
  count(*) filter (t >= since(365)) as support_requests_365d,
  avg(satisfaction) as satisfaction,
  count(*) filter (priority = 'high' and t >= since(120)) as urgent_120d
from requests group by customer_id;

create table card_traits as
select customer_id, count(*) as cards, max(issued_at) as card_issued_on from cards group by customer_id;

create table points as
select customer_id, sum(points * pow(0.5, (today() - paris_day(t)) / half_life)) as engagement from (
  select customer_id, t, 20 as points, 90.0 as half_life from purchases
  union all select customer_id, t, 1, 30.0 from mails where kind = 'opened'
  union all select customer_id, t, 5, 30.0 from mails where kind = 'clicked'
  union all select customer_id, t, 2, 14.0 from visits where name = 'product_viewed'
  union all select customer_id, t, 4, 7.0 from visits where name = 'cart_updated')
where customer_id is not null group by customer_id;

create table everything as
select g.customer_id,
  coalesce(orders, 0) as orders, coalesce(orders_90d, 0) as orders_90d, coalesce(orders_365d, 0) as orders_365d,
  coalesce(web_orders, 0) as web_orders, coalesce(shop_orders, 0) as shop_orders,
  coalesce(revenue, 0) as revenue, coalesce(revenue_365d, 0) as revenue_365d,
  coalesce(revenue_house_brand, 0) as revenue_house_brand, coalesce(revenue_salon, 0) as revenue_salon,
  coalesce(products_ordered, 0) as products_ordered, first_order_at, last_order_at, smallest_basket, biggest_basket, mean_basket,
  favourite_shop, first_channel, last_channel, coalesce(orders_undone, 0) as orders_undone,
  cast(revenue as double) / orders as average_basket, coalesce(web_orders > 0 and shop_orders > 0, false) as is_omnichannel,
  coalesce(visits_30d, 0) as visits_30d, coalesce(products_viewed_30d, 0) as products_viewed_30d,
  coalesce(different_products_viewed_90d, 0) as different_products_viewed_90d, coalesce(brochures, 0) as brochures, last_visit_at,
  favourite_category, coalesce(emails_opened_90d, 0) as emails_opened_90d, last_click_at, last_campaign_clicked,
  coalesce(support_requests_365d, 0) as support_requests_365d, satisfaction, coalesce(cards, 0) as cards, card_issued_on,
  year(as_of()) - year(g.birth_date) as age, coalesce(engagement, 0) as engagement,
  coalesce(orders_14d, 0) as orders_14d, coalesce(orders_180d, 0) as orders_180d, coalesce(orders_270d, 0) as orders_270d,
  coalesce(brochures_60d, 0) as brochures_60d, coalesce(carts_14d, 0) as carts_14d, coalesce(salon_60d, 0) as salon_60d,
  coalesce(products_viewed_21d, 0) as products_viewed_21d, coalesce(emails_clicked_90d, 0) as emails_clicked_90d, coalesce(bounces, 0) as bounces,
  coalesce(urgent_120d, 0) as urgent_120d,
  k.customer_id is not null as known, s.customer_id is not null as is_staff
from golden g
left join known k using (customer_id) left join staff s using (customer_id)
left join purchase_traits using (customer_id) left join favourite_shops using (customer_id) left join channels using (customer_id)
left join line_traits using (customer_id) left join undone using (customer_id) left join visit_traits using (customer_id)
left join favourite_categories using (customer_id) left join mail_traits using (customer_id)
left join request_traits using (customer_id) left join card_traits using (customer_id) left join points using (customer_id);

create table oracle_customers as
select * exclude (orders_14d, orders_180d, orders_270d, brochures_60d, carts_14d, salon_60d, products_viewed_21d, emails_clicked_90d, bounces,
                  urgent_120d, known, is_staff),
  known as is_known
from everything;

create table oracle_tolerances (column_name varchar, tolerance double);
insert into oracle_tolerances values ('engagement', 0.001);

-- Golden attributes are taken as built. The tiers of RFM rest on everybody's purchases, those of skipped customers too.
create table oracle_ignored as
select unnest(['email', 'phone', 'city', 'postcode', 'first_name', 'last_name', 'country', 'birth_date', 'civility',
               'rfm_recency', 'rfm_frequency', 'rfm_monetary', 'card_expires_on']) as column_name;

-- ------------------------------------------------------------------------------------------------------------- consents
create table crm as
select contact_id, nullif(mail(email), '') as email, nullif(mail(email2), '') as email2, optin, paris(optin_at) as t
from read_csv('data/crm_contacts.csv', all_varchar = true) where is_test = 'false';

create table consent_events as
select mail(email) as contact_point, purpose, channel, state = 'in' as granted, instant(captured_at) as t
from read_csv('data/preference_centre.csv', all_varchar = true) where channel <> 'sms'
union all
select e164(phone), purpose, channel, state = 'in', instant(captured_at)
from read_csv('data/preference_centre.csv', all_varchar = true) where channel = 'sms'
union all
select recipient, 'newsletter', 'email', false, t from mails where kind = 'unsubscribed'
union all
select email, 'newsletter', 'email', optin = 'oui', t from crm where email is not null and optin in ('oui', 'non')
union all
-- Said without an address: a yes covers the record's other one, a no all of the customer's.
select email2, 'newsletter', 'email', true, t from crm where email is null and email2 is not null and optin = 'oui'
union all
select i.value, 'newsletter', 'email', false, t
from crm join records r on r.source = 'crm_contacts' and r.record_key = crm.contact_id join identities i on i.customer_id = r.customer_id and i.type = 'email'
where crm.email is null and optin = 'non';

-- The latest word counts, the more restrictive at one instant; a yes lasts three years for the newsletter. A no without a date
-- may count as the oldest word or as the last one: then the point is not certain.
create table grants as
with dated as (
  select * from consent_events where t <= as_of()
  qualify row_number() over (partition by contact_point, purpose, channel order by t desc, granted) = 1)
select contact_point, purpose, channel, t,
  not exists (select 1 from consent_events u where u.contact_point = d.contact_point and u.purpose = d.purpose and u.channel = d.channel
              and u.t is null and not u.granted) as certain
from dated d
where granted and (purpose <> 'newsletter' or t > as_of() - interval 3 year)
  and contact_point in (select value from identities where type in ('email', 'phone'));
create table oracle_granted as select contact_point, purpose, channel, certain from grants;
-- What is sent must still be granted when it is sent: by the clock on the wall, where that is later.
create table sendable as
select * from grants where purpose <> 'newsletter' or t > greatest(as_of(), cast(now() as timestamp)) - interval 3 year;

-- ------------------------------------------------------------------------------------------------------------- segments
create table newsletter_consents as
select customer_id, bool_or(certain) as certain
from oracle_granted join identities on value = contact_point and type = 'email' where purpose = 'newsletter' group by customer_id;

create table members as
with e as (
  select *,
    urgent_120d > 0 or coalesce(satisfaction <= 2, false) or orders_undone >= 2 as unhappy,
    revenue >= 1500 and orders >= 3 and not is_staff as vip,
    (cast(dayofyear(birth_date) as integer) - dayofyear(as_of()) + 366) % 366 < 14 as birthday,
    card_issued_on + interval 3 year as card_end
  from everything join (select customer_id, birth_date, rfm from golden) using (customer_id))
select 'active_customers' as segment, customer_id, known, true as certain from e where orders_365d > 0
union all select 'new_customers', customer_id, known, true from e where orders = 1 and orders_90d > 0
union all select 'second_purchase_due', customer_id, known, true from e
  where orders = 1 and first_order_at between as_of() - interval 120 day and as_of() - interval 30 day
union all select 'vip', customer_id, known, true from e where vip
union all select 'lapsed_vip', customer_id, known, true from e where vip and orders_270d = 0
union all select 'champions', customer_id, known, true from e where rfm in ('555', '554', '545', '544', '455', '454', '445')
union all select 'omnichannel', customer_id, known, true from e where is_omnichannel
union all select 'staff', customer_id, known, true from e where is_staff
union all select 'hot_prospects', customer_id, known, true from e
  where (products_viewed_30d >= 3 or brochures_60d > 0) and orders_365d = 0 and not is_staff
union all select 'abandoned_cart', customer_id, known, true from e where carts_14d > 0 and orders_14d = 0
union all select 'living_room_plans', customer_id, known, true from e where salon_60d >= 2
union all select 'warm_visitors', customer_id, true, true from e where products_viewed_21d >= 3 and orders = 0
union all select 'engaged', customer_id, known, engagement >= 25.001 from e where engagement >= 24.999
union all select 'unhappy', customer_id, known, true from e where unhappy
union all select 'win_back', customer_id, known, true from e
  where orders >= 1 and orders_180d = 0 and (emails_clicked_90d > 0 or products_viewed_30d > 0) and not unhappy
union all select 'birthday_soon', customer_id, known, true from e where birthday
-- A card ends with a day; whether the first and the last one are within is a matter of hours.
union all select 'card_expires_soon', customer_id, known, card_end > as_of() + interval 1 day and card_end < as_of() + interval 59 day from e
  where card_end >= as_of() - interval 1 day and card_end <= as_of() + interval 61 day
union all select 'newsletter_readers', customer_id, known, c.certain from e join newsletter_consents c using (customer_id)
  where (emails_opened_90d > 0 or emails_clicked_90d > 0) and bounces = 0;

create table oracle_segments as select segment, customer_id as key, certain from members where known;

-- ---------------------------------------------------------------------------------------------------------------- syncs
-- How many rows are delivered: the address that is sent must itself be granted. Skipped customers may add or lack a row.
create table audiences as
select 'newsletter' as sync, m.key, m.certain and g.certain as certain
from oracle_segments m join golden c on c.customer_id = m.key
join sendable g on g.contact_point = c.email and g.purpose = 'newsletter' where m.segment = 'newsletter_readers'
union all
select 'hot_prospects_to_crm', m.key, g.certain
from oracle_segments m join golden c on c.customer_id = m.key and (c.country = 'FR' or c.country is null)
join sendable g on g.contact_point = c.email and g.purpose = 'newsletter' where m.segment = 'hot_prospects'
union all
select 'lapsed_vip_ads', m.key, g.certain
from oracle_segments m join golden c on c.customer_id = m.key
join sendable g on g.contact_point = c.email and g.purpose = 'advertising' where m.segment = 'lapsed_vip'
union all
select 'customer_values', customer_id, true from everything where known and orders > 0
union all
-- Updates: customers without an address and a telephone cannot be, and what the desk lacks stays out.
select 'unhappy_to_care', key, false from oracle_segments where segment = 'unhappy';

create table oracle_syncs as
select sync, greatest(count(*) filter (certain) - (select count(*) from oracle_skipped), 0) as least, count(*) + (select count(*) from oracle_skipped) as greatest
from audiences group by sync;
