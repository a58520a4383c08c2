//! The rows of every source: what each has for columns, in the order in which they are written.

use chrono::NaiveDate;

use super::cells::{Cell, Cells, Cents, Column, Local, Serial, Utc};
use super::ids::Code;

/// A row of one source.
pub(crate) trait Row: Cell {
    const SOURCE: Source;
}

/// Where rows go.
pub(crate) trait Output {
    /// Adds a row to its source.
    fn put<R: Row>(&mut self, row: &R);

    /// Says whose record that is; nobody's where there is no person.
    fn truth(&mut self, source: Source, record_key: &str, person_id: Option<&str>) {
        self.put(&RecordRow { source: source.name(), record_key, person_id });
    }
}

/// Declares groups of cells, and the rows among them with their sources: `Type, Variant, "name" { column: type, … }`.
macro_rules! rows {
    ($($(#[$doc:meta])* $row:ident $(, $source:ident, $name:literal)? { $($column:ident: $type:ty,)* })*) => {
        /// The sources, and the truth about them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Source {
            $($($source,)?)*
        }

        impl Source {
            pub(crate) const ALL: &'static [Self] = &[$($(Self::$source,)?)*];

            /// Path below the folder, without what its form adds.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $($(Self::$source => $name,)?)*
                }
            }

            /// The columns of its rows.
            pub(crate) fn columns(self) -> Vec<Column> {
                let mut columns = Vec::new();
                match self {
                    $($(Self::$source => $row::columns($name, &mut columns),)?)*
                }
                columns
            }
        }

        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(crate) struct $row<'a> {
                $(pub(crate) $column: $type,)*
            }

            impl<'a> Cell for $row<'a> {
                fn columns(_: &'static str, columns: &mut Vec<Column>) {
                    $(<$type as Cell>::columns(stringify!($column), columns);)*
                }

                fn put(&self, name: &'static str, cells: &mut impl Cells) {
                    cells.open(name);
                    $(self.$column.put(stringify!($column), cells);)*
                    cells.close();
                }
            }

            $(impl Row for $row<'_> {
                const SOURCE: Source = Source::$source;
            })?
        )*
    };
}

rows! {
    /// A contact of the CRM, typed by hand.
    ContactRow, Contacts, "crm_contacts" {
        contact_id: &'a str,
        civility: &'a str,
        first_name: &'a str,
        last_name: &'a str,
        email: Option<&'a str>,
        email2: Option<&'a str>,
        tel_mobile: Option<&'a str>,
        birth_date: Option<&'a str>,
        addr1: &'a str,
        postcode: &'a str,
        city: &'a str,
        optin: Option<&'a str>,
        optin_at: Option<Local>,
        created_at: Local,
        modified_at: Local,
        is_test: bool,
    }

    /// An account on the site.
    AccountRow, Accounts, "web_accounts" {
        id: Code,
        email: &'a str,
        first_name: &'a str,
        last_name: &'a str,
        phone: Option<&'a str>,
        country: &'a str,
        created_at: Utc,
        modified_at: Utc,
    }

    /// Something that was done on the site.
    WebEventRow, WebEvents, "web_events" {
        event_id: Serial,
        anonymous_id: Code,
        user_id: Option<Code>,
        name: &'a str,
        path: &'a str,
        props: Props<'a>,
        occurred_at: Utc,
    }

    /// What is known of an event beside its name.
    Props {
        sku: Option<&'a str>,
        category: Option<&'a str>,
        cart_id: Option<Code>,
        items: Option<i64>,
        query: Option<&'a str>,
        brochure: Option<&'a str>,
    }

    /// An order on the site.
    OrderRow, Orders, "orders" {
        order_id: &'a str,
        customer_ref: Option<Code>,
        email: &'a str,
        ordered_at: Utc,
        status: &'a str,
        total: Cents,
        channel: &'a str,
        cart_id: Option<Code>,
    }

    /// A line of an order.
    OrderLineRow, OrderLines, "order_lines" {
        order_id: &'a str,
        line_no: i64,
        sku: &'a str,
        quantity: i64,
        unit_price: Cents,
    }

    /// A loyalty card.
    CardRow, Cards, "loyalty_cards" {
        card_no: &'a str,
        contact_id: Option<&'a str>,
        email: Option<&'a str>,
        phone: Option<&'a str>,
        issued_at: NaiveDate,
    }

    /// What became of a letter.
    EmailEventRow, EmailEvents, "email_events" {
        event_id: Serial,
        recipient: &'a str,
        campaign: &'a str,
        kind: &'a str,
        occurred_at: Utc,
    }

    /// A request for help.
    SupportRow, Support, "support_tickets" {
        ticket_id: Code,
        requester_email: &'a str,
        topic: &'a str,
        priority: &'a str,
        satisfaction: Option<i64>,
        opened_at: Utc,
        closed_at: Option<Utc>,
    }

    /// A choice in the preference centre.
    PreferenceRow, Preferences, "preference_centre" {
        proof_id: Code,
        email: &'a str,
        phone: Option<&'a str>,
        purpose: &'a str,
        channel: &'a str,
        state: &'a str,
        captured_at: Utc,
    }

    /// Somebody who works for Maison.
    StaffRow, Staff, "staff" {
        email: &'a str,
    }

    /// Whose a record is.
    RecordRow, Records, "truth/records" {
        source: &'a str,
        record_key: &'a str,
        person_id: Option<&'a str>,
    }

    /// Somebody real.
    PersonRow, People, "truth/people" {
        person_id: &'a str,
        household_id: &'a str,
        first_name: &'a str,
        last_name: &'a str,
        birth_date: NaiveDate,
        persona: &'a str,
    }

    /// Something on the shelves.
    ProductRow, Products, "products" {
        sku: &'a str,
        name: &'a str,
        category: &'a str,
        brand: &'a str,
        price: Cents,
    }

    /// A ticket of a shop.
    TicketRow, Tickets, "tickets" {
        ticket_id: &'a str,
        shop_id: &'a str,
        card_no: Option<&'a str>,
        total_ttc: Cents,
        sold_at: Utc,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_flat_among_the_columns() {
        let names: Vec<_> = Source::WebEvents.columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names[4..8], ["path", "sku", "category", "cart_id"]);
        assert_eq!(names.last(), Some(&"occurred_at"));
    }
}
