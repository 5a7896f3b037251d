//! The functions that the compiled contract calls, as the contracts pallet has
//! them; nothing else is there, so that a contract that asked for more would not
//! start.

use std::collections::BTreeMap;

use parity_scale_codec::{Compact, Decode as _, DecodeAll as _, Encode as _};
use wasmi::{Caller, Error, Linker, Memory};

use crate::stand_in::Emitted;

/// The subnet that the contract's stake is on, and the hotkey that it is with.
pub(crate) const NETUID: u16 = 94;
pub(crate) const HOTKEY: [u8; 32] = [0xdd; 32];

/// What the pallet answers for a key without a value, and for a length of none.
const KEY_NOT_FOUND: u32 = 3;
const SENTINEL: u32 = u32::MAX;
/// The status of the stake extension for too little stake.
const NOT_ENOUGH: u32 = 6;

pub(crate) type Storage = BTreeMap<Vec<u8>, Vec<u8>>;

/// One message being executed.
pub(super) struct Run {
    pub(super) contract: [u8; 32],
    pub(super) caller: [u8; 32],
    pub(super) block: u32,
    pub(super) input: Vec<u8>,
    pub(super) storage: Storage,
    pub(super) events: Vec<Emitted>,
    pub(super) returned: Option<(u32, Vec<u8>)>,
    pub(super) memory: Option<Memory>,
}

type Host<'a> = Caller<'a, Run>;

/// The arguments of a transfer: to whom, the hotkey, from and to which subnet, rao.
type Transfer = ([u8; 32], [u8; 32], u16, u16, u64);

/// Where stake is kept, beside the contract's own values so that it is undone with
/// them.
pub(super) fn stake_key(coldkey: &[u8; 32]) -> Vec<u8> {
    [b"stake of ", &coldkey[..]].concat()
}

impl Run {
    fn stake(&self, coldkey: &[u8; 32]) -> u64 {
        let bytes = self.storage.get(&stake_key(coldkey));
        bytes.map_or(0, |bytes| u64::decode(&mut &bytes[..]).unwrap())
    }

    /// Extension `0x1000`: the stake of a coldkey, and a transfer.
    fn extension(&mut self, id: u32, input: &[u8]) -> (u32, Vec<u8>) {
        if id == 0x1000_0000 {
            let (hotkey, coldkey, netuid) =
                <([u8; 32], [u8; 32], u16)>::decode_all(&mut &*input).unwrap();
            assert_eq!((hotkey, netuid), (HOTKEY, NETUID));
            let none = Compact(0u64);
            let stake = Compact(self.stake(&coldkey));
            let info = (hotkey, coldkey, Compact(netuid), stake);
            return (0, (1u8, info, (none, none, none, none), true).encode());
        }
        assert_eq!(id, 0x1000_0006);
        let (to, hotkey, from_netuid, to_netuid, rao) = Transfer::decode_all(&mut &*input).unwrap();
        assert_eq!((hotkey, from_netuid, to_netuid), (HOTKEY, NETUID, NETUID));
        let Some(left) = self.stake(&self.contract).checked_sub(rao) else {
            return (NOT_ENOUGH, Vec::new());
        };
        let more = self.stake(&to) + rao;
        self.storage
            .insert(stake_key(&self.contract), left.encode());
        self.storage.insert(stake_key(&to), more.encode());
        (0, Vec::new())
    }
}

/// Where the contract's own values are kept.
fn value_key(key: &[u8]) -> Vec<u8> {
    [b"value of ", key].concat()
}

fn memory(host: &Host<'_>) -> Memory {
    host.data().memory.unwrap()
}

fn read(host: &Host<'_>, at: u32, length: u32) -> Vec<u8> {
    let (at, length) = (at as usize, length as usize);
    memory(host).data(host)[at..at + length].to_vec()
}

fn write(host: &mut Host<'_>, at: u32, bytes: &[u8]) {
    let memory = memory(host);
    memory.write(host, at as usize, bytes).unwrap();
}

/// Writes into a buffer of the contract whose length is at `length_at`.
fn output(host: &mut Host<'_>, at: u32, length_at: u32, bytes: &[u8]) -> Result<(), Error> {
    let room = u32::decode(&mut &read(host, length_at, 4)[..]).unwrap();
    let length = u32::try_from(bytes.len()).unwrap();
    if room < length {
        return Err(Error::new("OutputBufferTooSmall"));
    }
    write(host, at, bytes);
    write(host, length_at, &length.encode());
    Ok(())
}

/// Tells the contract of all of them.
pub(super) fn link(linker: &mut Linker<Run>) -> Result<(), Error> {
    storage(linker)?;
    surroundings(linker)?;
    linker.func_wrap(
        "seal0",
        "hash_blake2_256",
        |mut host: Host<'_>, at: u32, length: u32, out: u32| {
            let hash = sp_crypto_hashing::blake2_256(&read(&host, at, length));
            write(&mut host, out, &hash);
        },
    )?;
    linker.func_wrap(
        "seal0",
        "deposit_event",
        |mut host: Host<'_>, topics: u32, topics_len: u32, at: u32, length: u32| {
            let topics = read(&host, topics, topics_len);
            let topics = match topics_len {
                0 => Vec::new(),
                _ => Vec::decode(&mut &topics[..]).unwrap(),
            };
            let data = read(&host, at, length);
            host.data_mut().events.push(Emitted { topics, data });
        },
    )?;
    linker.func_wrap(
        "seal0",
        "call_chain_extension",
        |mut host: Host<'_>, id: u32, at: u32, length: u32, out: u32, out_len: u32| {
            let input = read(&host, at, length);
            let (status, answer) = host.data_mut().extension(id, &input);
            if !answer.is_empty() {
                output(&mut host, out, out_len, &answer)?;
            }
            Ok::<_, Error>(status)
        },
    )?;
    linker.func_wrap(
        "seal0",
        "call_runtime",
        |_: Host<'_>, _: u32, _: u32| -> Result<u32, Error> {
            Err(Error::new("no test makes the contract call the runtime"))
        },
    )?;
    linker.func_wrap(
        "seal0",
        "seal_return",
        |mut host: Host<'_>, flags: u32, at: u32, length: u32| -> Result<(), Error> {
            let data = read(&host, at, length);
            host.data_mut().returned = Some((flags, data));
            Err(Error::new("the message is over"))
        },
    )?;
    Ok(())
}

fn storage(linker: &mut Linker<Run>) -> Result<(), Error> {
    linker.func_wrap(
        "seal2",
        "set_storage",
        |mut host: Host<'_>, key: u32, key_len: u32, at: u32, length: u32| {
            let key = value_key(&read(&host, key, key_len));
            let value = read(&host, at, length);
            let old = host.data_mut().storage.insert(key, value);
            old.map_or(SENTINEL, |old| u32::try_from(old.len()).unwrap())
        },
    )?;
    linker.func_wrap(
        "seal1",
        "get_storage",
        |mut host: Host<'_>, key: u32, key_len: u32, out: u32, out_len: u32| {
            let key = value_key(&read(&host, key, key_len));
            let Some(value) = host.data().storage.get(&key).cloned() else {
                return Ok(KEY_NOT_FOUND);
            };
            output(&mut host, out, out_len, &value)?;
            Ok::<_, Error>(0)
        },
    )?;
    linker.func_wrap(
        "seal1",
        "contains_storage",
        |host: Host<'_>, key: u32, key_len: u32| {
            let key = value_key(&read(&host, key, key_len));
            let value = host.data().storage.get(&key);
            value.map_or(SENTINEL, |value| u32::try_from(value.len()).unwrap())
        },
    )?;
    Ok(())
}

fn surroundings(linker: &mut Linker<Run>) -> Result<(), Error> {
    type Look = fn(&Run) -> Vec<u8>;
    let looks: [(&str, Look); 5] = [
        ("input", |run| run.input.clone()),
        ("caller", |run| run.caller.to_vec()),
        ("address", |run| run.contract.to_vec()),
        ("block_number", |run| run.block.encode()),
        ("value_transferred", |_| 0u64.encode()),
    ];
    for (name, look) in looks {
        linker.func_wrap(
            "seal0",
            name,
            move |mut host: Host<'_>, out: u32, out_len: u32| {
                let bytes = look(host.data());
                output(&mut host, out, out_len, &bytes)
            },
        )?;
    }
    Ok(())
}
