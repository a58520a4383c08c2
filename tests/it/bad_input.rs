//! Bad input, given to the real executable: a clear finding, an exit code that can be relied upon, nothing lost, no panic, and
//! never a value of somebody's data.

mod data;
mod models;
mod shop;
mod verbs;
mod world;

use shop::Shop;

#[test]
fn the_shop_itself_is_in_order() {
    let shop = Shop::new();
    shop.run(&["check"]).ends_with(0, &["is in order"]);
    shop.run(&["build"]).ends_with(0, &["buyers"]);
    shop.run(&["run"]).ends_with(0, &[]);
}
