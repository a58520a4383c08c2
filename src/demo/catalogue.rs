//! What Maison sells, and where: the same in every world.

use super::dice::{Dice, Topic};

/// Something on the shelves.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) category: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) cents: i64,
    /// Its page on the site.
    pub(crate) page: String,
    /// The page of its category.
    pub(crate) category_page: String,
}

/// (name, path on the site, products with their lowest and highest price in euros).
type Category = (&'static str, &'static str, [(&'static str, i64, i64); 5]);

/// Everything on the shelves, by category.
pub(crate) const CATEGORIES: [Category; 8] = [
    (
        "Salon",
        "salon",
        [
            ("Canapé", 399, 1299),
            ("Table basse", 89, 349),
            ("Fauteuil", 149, 599),
            ("Tapis", 59, 399),
            ("Plaid", 19, 79),
        ],
    ),
    (
        "Chambre",
        "chambre",
        [
            ("Lit", 249, 899),
            ("Housse de couette", 29, 129),
            ("Oreiller", 15, 69),
            ("Commode", 129, 449),
            ("Drap-housse", 14, 59),
        ],
    ),
    (
        "Cuisine",
        "cuisine",
        [
            ("Cocotte", 49, 259),
            ("Lot d'assiettes", 19, 89),
            ("Couteau de chef", 24, 119),
            ("Torchon", 5, 15),
            ("Saladier", 12, 45),
        ],
    ),
    (
        "Bain",
        "bain",
        [
            ("Drap de bain", 15, 59),
            ("Peignoir", 35, 99),
            ("Tapis de bain", 12, 39),
            ("Panier à linge", 25, 79),
            ("Miroir", 39, 189),
        ],
    ),
    (
        "Jardin",
        "jardin",
        [
            ("Salon de jardin", 299, 999),
            ("Parasol", 79, 299),
            ("Chilienne", 39, 99),
            ("Jardinière", 15, 69),
            ("Guirlande", 12, 49),
        ],
    ),
    (
        "Enfant",
        "enfant",
        [
            ("Lit enfant", 149, 399),
            ("Veilleuse", 15, 45),
            ("Coffre à jouets", 39, 119),
            ("Tour de lit", 29, 69),
            ("Bureau enfant", 79, 229),
        ],
    ),
    (
        "Luminaires",
        "luminaires",
        [
            ("Suspension", 39, 249),
            ("Lampe à poser", 25, 149),
            ("Lampadaire", 69, 299),
            ("Applique", 29, 119),
            ("Ampoule", 4, 15),
        ],
    ),
    (
        "Décoration",
        "decoration",
        [("Vase", 12, 79), ("Cadre", 8, 59), ("Bougie", 6, 35), ("Coussin", 12, 49), ("Horloge", 25, 129)],
    ),
];
const FINISHES: [&str; 12] = [
    "lin",
    "chêne",
    "rotin",
    "velours",
    "laiton",
    "grès",
    "coton bio",
    "noyer",
    "terracotta",
    "ivoire",
    "olive",
    "nuit",
];
const BRANDS: [&str; 5] = ["Maison", "Maison", "Atelier Lin", "Bois Clair", "Petit Matin"];
/// Products of each of the forty kinds.
const VARIANTS: usize = 6;
/// How many shops there are.
pub(crate) const SHOPS: u64 = 24;

/// Everything on the shelves, category by category.
pub(crate) fn products() -> Vec<Product> {
    let mut dice = Dice::new(0, Topic::Catalogue, 0);
    let mut products = Vec::new();
    for (category, path, kinds) in &CATEGORIES {
        for (kind, low, high) in kinds {
            let first = dice.below(FINISHES.len() as u64) as usize;
            for variant in 0..VARIANTS {
                let number = products.len() + 1;
                products.push(Product {
                    sku: format!("MA{number:04}"),
                    name: format!("{kind} {}", FINISHES[(first + variant) % FINISHES.len()]),
                    category,
                    brand: dice.pick(&BRANDS),
                    cents: dice.between(*low, *high) * 100 + [0, 90, 99][dice.weighted(&[4, 4, 2])],
                    page: format!("/produit/ma{number:04}"),
                    category_page: format!("/categorie/{path}"),
                });
            }
        }
    }
    products
}

/// One of them: from the preferred category four times in ten.
pub(crate) fn choose<'a>(dice: &mut Dice, products: &'a [Product], taste: usize) -> &'a Product {
    let per_category = products.len() / CATEGORIES.len();
    let category =
        if dice.chance(0.4) { taste % CATEGORIES.len() } else { dice.weighted(&[8, 12, 22, 14, 8, 6, 12, 18]) };
    // Cheap things sell best: the less expensive of two, more often than not.
    let first = &products[category * per_category + dice.below(per_category as u64) as usize];
    let second = &products[category * per_category + dice.below(per_category as u64) as usize];
    if (first.cents <= second.cents) == dice.chance(0.8) { first } else { second }
}
