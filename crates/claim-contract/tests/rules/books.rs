//! The books alone, with any numbers.

use claim_contract::books::Books;
use claim_contract::error::Error;
use proptest::prelude::*;

proptest! {
    /// Whatever is published and paid: never more is owed than was owned when it was promised, and sums never wrap.
    #[test]
    fn promises_are_covered(owned: u64, floor: u64, totals in prop::collection::vec(any::<u64>(), 1..8)) {
        let mut books = Books::default();
        let floor_set = books.set_reserve_floor(floor, owned);
        prop_assert_eq!(floor_set.is_ok(), floor <= owned);
        for (epoch, total) in (0..).zip(totals) {
            let before = books.clone();
            match books.publish(epoch, total, owned) {
                Ok(()) => {
                    prop_assert!(books.outstanding_rao() <= owned - books.reserve_floor_rao());
                    books.settle();
                }
                Err(error) => {
                    prop_assert!(matches!(error, Error::NotFunded | Error::TotalDecreased));
                    prop_assert_eq!(&books, &before);
                }
            }
        }
    }

    #[test]
    fn a_payment_is_bounded_by_what_is_settled_and_by_what_is_owned(
        total: u64, paid in prop::collection::vec(any::<u64>(), 1..8), owned: u64,
    ) {
        let mut books = Books::default();
        books.publish(1, total, u64::MAX).unwrap();
        prop_assert!(total == 0 || books.pay(1, owned) == Err(Error::DeclaredExhausted));
        books.settle();
        let mut sum: u64 = 0;
        for rao in paid {
            let outcome = books.pay(rao, owned);
            let fits = sum.checked_add(rao).is_some_and(|sum| sum <= total);
            let expected = match (sum.checked_add(rao), fits, rao <= owned) {
                (None, ..) => Err(Error::Overflow),
                (_, false, _) => Err(Error::DeclaredExhausted),
                (_, _, false) => Err(Error::StakeTooLow),
                _ => Ok(()),
            };
            prop_assert_eq!(outcome, expected);
            if outcome.is_ok() {
                sum += rao;
            }
            prop_assert_eq!(books.outstanding_rao(), total - sum);
        }
    }
}
