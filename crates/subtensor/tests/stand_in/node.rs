//! JSON-RPC, as a node answers it.

use axum::http::StatusCode;
use parity_scale_codec::{Compact, Encode};
use serde_json::{Value, json};

use super::state::{OnSubmit, State, storage_key};
use super::weather::Weather;

/// Answers one request.
pub(super) fn answer(state: &mut State, body: &[u8]) -> (StatusCode, String) {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let (Some(id), Some(method), Some(params), "2.0", 4) = (
        request["id"].as_u64(),
        request["method"].as_str(),
        request["params"].as_array(),
        request["jsonrpc"].as_str().unwrap_or_default(),
        request.as_object().map_or(0, serde_json::Map::len),
    ) else {
        state.surprises.push(format!("no JSON-RPC: {request}"));
        return (StatusCode::BAD_REQUEST, String::new());
    };
    state.requests.push(method.to_owned());
    let result = state.call(method, params);
    if state.lose_call.is_some() && params.first().and_then(Value::as_str) == state.lose_call {
        state.lose_call = None;
        return (StatusCode::GATEWAY_TIMEOUT, String::new());
    }
    let is_lost = state.weather.as_mut().is_some_and(Weather::loses);
    if is_lost || method == "author_submitExtrinsic" && state.on_submit == OnSubmit::LoseAnswer {
        return (StatusCode::GATEWAY_TIMEOUT, String::new());
    }
    let answer = match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    };
    (StatusCode::OK, answer.to_string())
}

impl State {
    fn call(&mut self, method: &str, params: &[Value]) -> Result<Value, Value> {
        let text = |place: usize| {
            params
                .get(place)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match (method, params.len()) {
            ("chain_getBlockHash", 1) => {
                let number = params[0].as_u64().filter(|number| *number <= self.height);
                Ok(number.map_or(Value::Null, |number| hex(&self.hash_of(number)).into()))
            }
            ("chain_getFinalizedHead", 0) => {
                self.advance();
                Ok(hex(&self.hash_of(self.height)).into())
            }
            ("chain_getHeader", 1) => {
                let number = self.number_of(text(0))?;
                Ok(self.header(number))
            }
            ("chain_getBlock", 1) => {
                let number = self.number_of(text(0))?;
                let body = self.bodies.get(&number).cloned().unwrap_or_default();
                let body: Vec<String> = body.iter().map(|bytes| hex(bytes)).collect();
                Ok(json!({
                    "block": {"header": self.header(number), "extrinsics": body},
                    "justifications": null,
                }))
            }
            ("state_getStorage", 2) => {
                let number = self.number_of(text(1))?;
                self.read(&unhex(text(0)), number)
            }
            ("state_call", 3) => {
                let number = self.number_of(text(2))?;
                self.runtime(text(0), &unhex(text(1)), number)
            }
            ("author_submitExtrinsic", 1) => self.submit(unhex(text(0))),
            _ => Err(self.surprise(&format!("{method} with {params:?}"))),
        }
    }

    fn surprise(&mut self, what: &str) -> Value {
        self.surprises.push(what.to_owned());
        json!({"code": -32601, "message": what})
    }

    fn read(&mut self, key: &[u8], number: u64) -> Result<Value, Value> {
        if key == storage_key("System", "Events", &[]) {
            let events = self.events.get(&number);
            return Ok(events.map_or(Value::Null, |bytes| hex(bytes).into()));
        }
        if key == storage_key("Timestamp", "Now", &[]) {
            let made_at = self.started_at - self.age_seconds;
            return Ok(hex(&(made_at * 1000).encode()).into());
        }
        match self.storage.get(key) {
            Some(value) => Ok(hex(value).into()),
            None if self.absent.contains(key) => Ok(Value::Null),
            None => Err(self.surprise(&format!("the key {}", hex(key)))),
        }
    }

    fn runtime(&mut self, function: &str, arguments: &[u8], at: u64) -> Result<Value, Value> {
        let bytes = match (function, arguments) {
            ("Core_version", []) => {
                let apis: Vec<([u8; 8], u32)> = vec![([1; 8], 5)];
                (
                    "node-subtensor",
                    "node-subtensor",
                    1u32,
                    424u32,
                    1u32,
                    apis,
                    1u32,
                    1u8,
                )
                    .encode()
            }
            ("Metadata_metadata_versions", []) => vec![14u32, 15, 16].encode(),
            ("Metadata_metadata_at_version", [16, 0, 0, 0]) => {
                let length = Compact(u32::try_from(self.metadata.len()).unwrap()).encode();
                [&[1][..], &length, &self.metadata].concat()
            }
            ("AccountNonceApi_account_nonce", account) if account.len() == 32 => {
                self.nonce(account.try_into().unwrap()).encode()
            }
            ("NeuronInfoRuntimeApi_get_neurons_lite", netuid)
                if netuid == self.netuid.to_le_bytes() =>
            {
                self.neurons_lite()
            }
            ("ContractsApi_call", arguments) if self.contract.is_some() => {
                self.try_contract(arguments, at)
            }
            ("ContractsApi_call", arguments) => {
                self.contract_arguments = arguments.to_vec();
                self.contract_answer.clone()
            }
            _ => return Err(self.surprise(&format!("{function} with {}", hex(arguments)))),
        };
        Ok(hex(&bytes).into())
    }

    fn submit(&mut self, bytes: Vec<u8>) -> Result<Value, Value> {
        let invalid = |reason: &str| {
            Err(json!({"code": 1010, "message": "Invalid Transaction", "data": reason}))
        };
        self.submitted.push(bytes.clone());
        if self.pending.iter().any(|parts| parts.bytes == bytes) {
            return Err(json!({"code": 1013, "message": "Transaction is already imported"}));
        }
        let hash = sp_crypto_hashing::blake2_256(&bytes);
        let parts = match self.check_extrinsic(bytes) {
            Ok(parts) if parts.nonce < self.nonce(&parts.signer) => {
                return invalid("Transaction is outdated");
            }
            Ok(parts) if parts.last_block < self.height => {
                return invalid("Transaction has an ancient birth block");
            }
            Ok(parts) => parts,
            Err(problem) => return Err(self.surprise(&format!("an extrinsic: {problem}"))),
        };
        if let OnSubmit::Refuse(number) = self.on_submit {
            return invalid(&format!("Custom error: {number}"));
        }
        if self.on_submit != OnSubmit::Drop {
            self.pending.push(parts);
        }
        Ok(hex(&hash).into())
    }

    pub(super) fn hash_of(&self, number: u64) -> [u8; 32] {
        if number == 0 {
            return self.genesis;
        }
        let mut hash = [0x22; 32];
        hash[24..].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn number_of(&mut self, hash: &str) -> Result<u64, Value> {
        let bytes: [u8; 32] = unhex(hash).try_into().unwrap_or_default();
        let number = u64::from_be_bytes(bytes[24..].try_into().unwrap());
        if bytes[..24] == [0x22; 24] && number <= self.height {
            return Ok(number);
        }
        Err(self.surprise(&format!("the block {hash}")))
    }

    fn header(&self, number: u64) -> Value {
        json!({
            "number": format!("0x{number:x}"),
            "parentHash": hex(&self.hash_of(number - 1)),
            "stateRoot": hex(&[3; 32]),
            "extrinsicsRoot": hex(&[4; 32]),
            "digest": {"logs": []},
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("0x").unwrap_or("not hex");
    hex::decode(digits).unwrap_or_else(|_| b"not hex".to_vec())
}
