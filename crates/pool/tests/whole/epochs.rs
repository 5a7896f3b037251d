//! Building epochs, and recomputing them.

use pool::Rao;
use pool::build::BuildError;
use pool::epoch::{EpochError, EpochFile, Given, Previous, Recipients, compute};
use pool::verify::{VerifyError, history};
use protocol::claims::RecipientUpdate;

use crate::common::{Backend, CONTRACT, Pool, coldkey, key, now, order, snapshot};

on_both_databases! {
    an_epoch_pays_cumulative_amounts_that_anyone_recomputes,
    a_forged_epoch_is_found_out_and_named,
    an_epoch_that_cannot_be_is_refused_and_freezes_nobody_out,
}

async fn an_epoch_pays_cumulative_amounts_that_anyone_recomputes(backend: Backend) {
    let pool = Pool::start(backend).await;
    let paid = [(1, 500_000_000), (2, 300_000_000), (3, 200_000_000)];
    for n in [1, 2] {
        assert_eq!(pool.map(&key(n), coldkey(n), now()).await.0, 200);
    }
    let first = pool.build(1, snapshot(&paid)).await.unwrap();
    assert_eq!(first.num_of_leaves, 2, "the third named no recipient");
    let amounts: u64 = first.leaves.iter().map(|leaf| leaf.amount_rao.0).sum();
    assert_eq!(first.total_rao, Rao(amounts));
    assert_eq!(amounts + first.unassigned[0].amount_rao.0, 1_000_000_007);
    pool.store.set_published(1).await.unwrap();
    assert_eq!(pool.map(&key(3), coldkey(3), now()).await.0, 200);
    let second = pool.build(2, snapshot(&[(3, 7)])).await.unwrap();
    assert_eq!(second.num_of_leaves, 3);
    let third = second
        .leaves
        .iter()
        .find(|leaf| leaf.recipient_coldkey == coldkey(3));
    let carried = first.unassigned[0].amount_rao.0;
    assert_eq!(third.unwrap().amount_rao, Rao(carried + 1_000_000_007));

    let verified = history(&pool.blobs, &pool.file(2).await).unwrap();
    assert_eq!(verified, [second, first]);
}

#[test]
fn no_epoch_takes_a_leaf_or_a_newer_mapping_away() {
    let mappings = |of: &[(u8, u8, u64)]| {
        let signed = |&(n, to, at): &(u8, u8, u64)| RecipientUpdate::sign(&key(n), coldkey(to), at);
        Recipients::of(of.iter().map(signed)).to_bytes()
    };
    let budget = snapshot(&[(1, 1), (2, 1)]);
    let given = |epoch, recipients: &[u8], previous: Option<Previous<'_>>| {
        compute(&Given {
            epoch,
            contract: CONTRACT,
            budget_rao: Rao(1_000),
            snapshot: &budget,
            recipients,
            previous,
        })
    };
    let (first, same) = (mappings(&[(1, 1, 50), (2, 2, 50)]), 50);
    let file = given(1, &first, None).unwrap().to_bytes();
    let after = |of: &[(u8, u8, u64)]| {
        let previous = Previous {
            file: &file,
            recipients: &first,
        };
        given(2, &mappings(of), Some(previous))
    };
    after(&[(1, 1, same), (2, 9, 51)]).unwrap();
    let dropped = after(&[(2, 2, same)]).unwrap_err();
    assert!(
        matches!(dropped, EpochError::Dropped { hotkey, previous: 1 } if hotkey == key(1).hotkey().address()),
        "{dropped}"
    );
    let older = after(&[(1, 8, 49), (2, 2, same)]).unwrap_err();
    assert!(
        matches!(
            older,
            EpochError::OlderMapping {
                signed_at: 49,
                newer: 50,
                ..
            }
        ),
        "{older}"
    );
    let other = mappings(&[(1, 1, 1), (2, 2, 1)]);
    let others = Previous {
        file: &file,
        recipients: &other,
    };
    let others = given(2, &first, Some(others)).unwrap_err();
    assert!(
        matches!(others, EpochError::PreviousRecipients(1)),
        "{others}"
    );
}

async fn a_forged_epoch_is_found_out_and_named(backend: Backend) {
    let pool = Pool::start(backend).await;
    pool.map(&key(1), coldkey(1), now()).await;
    pool.map(&key(2), coldkey(2), now()).await;
    let honest = pool.build(1, snapshot(&[(1, 6), (2, 4)])).await.unwrap();
    let forge = |change: &dyn Fn(&mut EpochFile)| {
        let mut file = honest.clone();
        change(&mut file);
        file.root = file.tree().unwrap().root();
        history(&pool.blobs, &file.to_bytes()).unwrap_err()
    };
    let error = forge(&|file| file.leaves[1].amount_rao.0 += 1);
    assert!(
        error.is_proof() && error.to_string().contains("leaves[1]"),
        "{error}"
    );
    let error = forge(&|file| file.leaves[0].recipient_coldkey = coldkey(9));
    assert!(error.to_string().contains("leaves[0]"), "{error}");
    let error = forge(&|file| file.total_rao.0 += 1);
    assert!(error.to_string().contains("total_rao"), "{error}");
    let error = forge(&|file| file.budget_rao.0 += 1);
    assert!(matches!(error, VerifyError::Different { .. }), "{error}");
    let mut file = honest.clone();
    file.root = file.leaves.first().map(|_| pool_root(&file)).unwrap();
    let error = history(&pool.blobs, &file.to_bytes()).unwrap_err();
    assert!(error.to_string().contains("root"), "{error}");

    // The mapping is the miner's word, not the pool's.
    let text = String::from_utf8(pool.blobs.get(honest.inputs.recipients_sha256).unwrap()).unwrap();
    let redirected = text.replace(&coldkey(1).to_string(), &coldkey(9).to_string());
    let mut file = honest.clone();
    file.inputs.recipients_sha256 = pool.blobs.put(redirected.as_bytes()).unwrap();
    let error = history(&pool.blobs, &file.to_bytes()).unwrap_err();
    assert!(error.to_string().contains("is not signed by it"), "{error}");

    std::fs::remove_file(pool.blobs.path(honest.inputs.snapshot_sha256)).unwrap();
    let error = history(&pool.blobs, &honest.to_bytes()).unwrap_err();
    assert!(
        !error.is_proof(),
        "a missing input decides nothing: {error}"
    );
}

/// A root of other leaves.
fn pool_root(file: &EpochFile) -> protocol::claims::MerkleHash {
    let mut other = file.clone();
    other.leaves.truncate(1);
    other.tree().unwrap().root()
}

async fn an_epoch_that_cannot_be_is_refused_and_freezes_nobody_out(backend: Backend) {
    let pool = Pool::start(backend).await;
    let nobody = pool.build(1, snapshot(&[(1, 1)])).await.unwrap_err();
    assert!(nobody.to_string().contains("no miner"), "{nobody}");
    assert!(pool.build(1, b"{}".to_vec()).await.is_err());
    assert_eq!(pool.store.epochs().await.unwrap(), []);
    assert_eq!(pool.map(&key(1), coldkey(1), now()).await.0, 200);
    let far = pool.build(1_001, snapshot(&[(1, 1)])).await.unwrap_err();
    assert!(far.to_string().contains("more than 1000 above 0"), "{far}");
    pool.build(5, snapshot(&[(1, 1)])).await.unwrap();
    let before = pool.build(5, snapshot(&[(1, 1)])).await;
    assert!(matches!(before, Err(BuildError::Store(_))), "{before:?}");
    let mut other = order(6, snapshot(&[(1, 1)]));
    other.contract = coldkey(7);
    let other = pool::build::build(&pool.store, &pool.blobs, &other).await;
    assert!(
        other
            .unwrap_err()
            .to_string()
            .contains(&CONTRACT.to_string())
    );
    pool.store.thaw(5).await.unwrap();
    assert_eq!(pool.store.epochs().await.unwrap(), []);
    let mut far = order(1_001, snapshot(&[(1, 1)]));
    far.may_leap = true;
    pool::build::build(&pool.store, &pool.blobs, &far)
        .await
        .unwrap();
}
