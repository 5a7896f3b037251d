//! Reads an extrinsic by hand, byte by byte, and does what it says.

use parity_scale_codec::{Compact, Decode, Encode};
use protocol::hotkey::Hotkey;

use super::state::{OnSubmit, State, storage_key, twox64};

/// An event and its topics.
pub(super) type Event = (Vec<u8>, Vec<[u8; 32]>);

/// A signed extrinsic that was checked.
pub(super) struct Parts {
    pub(super) bytes: Vec<u8>,
    pub(super) signer: [u8; 32],
    pub(super) nonce: u32,
    /// The last block that may hold it.
    pub(super) last_block: u64,
    pub(super) call: Vec<u8>,
}

impl State {
    /// Checks all of an extrinsic: its frame, its terms, and its signature over the
    /// payload that this chain asks for.
    pub(super) fn check_extrinsic(&self, bytes: Vec<u8>) -> Result<Parts, String> {
        let mut rest = &bytes[..];
        let length = Compact::<u32>::decode(&mut rest).map_err(|_| "no length")?;
        if rest.len() != usize::try_from(length.0).unwrap() {
            return Err(format!("length {} of {}", length.0, rest.len()));
        }
        let head = rest.split_off(..2).ok_or("short")?;
        if head != [0x84, 0x00] {
            return Err(format!("version and address kind {head:?}"));
        }
        let signer: [u8; 32] = rest.split_off(..32).ok_or("short")?.try_into().unwrap();
        if rest.split_off(..1) != Some(&[1][..]) {
            return Err("not an sr25519 signature".to_owned());
        }
        let signature = hex::encode(rest.split_off(..64).ok_or("short")?);
        // Mortal for 64 blocks from a finalized one, the newest that its signer knew:
        // period 2^6, phase by 1.
        let era = rest.split_off(..2).ok_or("short")?.to_vec();
        let era_number = u64::from(u16::from_le_bytes([era[0], era[1]]));
        let (period, phase) = (2u64 << (era_number & 15), era_number >> 4);
        let birth = self.height - (self.height - phase) % period;
        if period != 64 || birth + self.lag < self.height {
            return Err(format!("era {era:?}: period {period}, birth {birth}"));
        }
        let nonce = Compact::<u32>::decode(&mut rest).map_err(|_| "no nonce")?;
        if nonce.0 > self.nonce(&signer) {
            return Err(format!("nonce {}", nonce.0));
        }
        if rest.split_off(..2) != Some(&[0, 0][..]) {
            return Err("a tip, or a metadata hash".to_owned());
        }
        let mut payload = rest.to_vec();
        payload.extend_from_slice(&era);
        nonce.encode_to(&mut payload);
        payload.extend_from_slice(&[0, 0]);
        (424u32, 1u32, self.genesis, self.hash_of(birth)).encode_to(&mut payload);
        payload.push(0);
        if payload.len() > 256 {
            payload = sp_crypto_hashing::blake2_256(&payload).to_vec();
        }
        let signature = signature.parse().map_err(|_| "no signature")?;
        if !Hotkey::from_bytes(signer).verifies(&payload, &signature) {
            return Err("the signature is not over what this chain asks for".to_owned());
        }
        Ok(Parts {
            signer,
            nonce: nonce.0,
            last_block: birth + period - 1,
            call: rest.to_vec(),
            bytes,
        })
    }

    /// Does what an extrinsic says, and gives the events that it causes, or the
    /// error with which it fails.
    pub(super) fn apply(&mut self, parts: &Parts) -> Result<Vec<Event>, [u8; 6]> {
        match parts.call.split_at_checked(2) {
            Some((&[7, 0], arguments)) => {
                Ok(vec![(self.set_weights(&parts.signer, arguments), vec![])])
            }
            Some((&[7, 113], arguments)) => {
                Ok(vec![(self.commit(&parts.signer, arguments), vec![])])
            }
            Some((&[29, 6], arguments)) if self.contract.is_some() => {
                self.call_contract(&parts.signer, arguments)
            }
            other => {
                let surprise = format!("a call of another kind: {other:?}");
                self.surprises.push(surprise);
                Ok(vec![])
            }
        }
    }

    fn set_weights(&mut self, signer: &[u8; 32], mut arguments: &[u8]) -> Vec<u8> {
        let call = <(u16, Vec<u16>, Vec<u16>, u64)>::decode(&mut arguments);
        let Ok((netuid, uids, values, version_key)) = call else {
            self.surprises.push("set_weights cannot be read".to_owned());
            return vec![0, 5];
        };
        if !arguments.is_empty() || netuid != self.netuid || version_key != 1337 {
            self.surprises
                .push("set_weights for something else".to_owned());
        }
        let uid = self.uid_of(signer).unwrap_or(u16::MAX);
        let mut pairs: Vec<(u16, u16)> = uids.into_iter().zip(values).collect();
        if self.on_submit == OnSubmit::Alter {
            pairs[0].1 -= 1;
        }
        let key = [netuid.to_le_bytes(), uid.to_le_bytes()].concat();
        self.set("Weights", &key, &pairs);
        self.updated(uid);
        (7u8, 5u8, netuid, uid).encode()
    }

    fn commit(&mut self, signer: &[u8; 32], mut arguments: &[u8]) -> Vec<u8> {
        let call = <(u16, Vec<u8>, u64, u16)>::decode(&mut arguments);
        let Ok((netuid, mut commit, round, version)) = call else {
            self.surprises.push("a commit cannot be read".to_owned());
            return vec![0, 5];
        };
        if !arguments.is_empty() || netuid != self.netuid || version != 4 {
            self.surprises
                .push("a commit for something else".to_owned());
        }
        let hash = sp_crypto_hashing::blake2_256(&commit);
        if self.on_submit == OnSubmit::Alter {
            commit[0] ^= 1;
        }
        let rows = vec![
            ([0xee; 32], 1u64, vec![1u8], 1u64),
            (*signer, self.height, commit, round),
        ];
        let key = [
            twox64(&netuid.to_le_bytes()),
            twox64(&23_000u64.to_le_bytes()),
        ]
        .concat();
        self.set("TimelockedWeightCommits", &key, &rows);
        for epoch in [22_999u64, 23_001] {
            let key = [twox64(&netuid.to_le_bytes()), twox64(&epoch.to_le_bytes())].concat();
            self.absent.insert(storage_key(
                "SubtensorModule",
                "TimelockedWeightCommits",
                &key,
            ));
        }
        let uid = self.uid_of(signer).unwrap_or(u16::MAX);
        self.updated(uid);
        (7u8, 107u8, *signer, netuid, hash, round).encode()
    }

    fn updated(&mut self, uid: u16) {
        if let Some(neuron) = self.neurons.get_mut(usize::from(uid)) {
            neuron.last_update = self.height;
        }
    }
}
