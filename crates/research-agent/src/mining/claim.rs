//! A claim that is held: it is used up by a submission, or given back, so that
//! nothing of an ended run counts against its miner.

use protocol::hotkey::Keypair;

use crate::client::answers::Claim;
use crate::client::{Client, ClientError, Id};
use crate::failure::Done;
use crate::task::ServedTask;
use crate::terminal::plain;

/// What a coordinator takes as a description.
const LONGEST_DESCRIPTION: usize = 4000;

/// A claim in hand.
#[derive(Debug)]
#[must_use = "a claim is used up or given back"]
pub(crate) struct HeldClaim<'a> {
    id: Id,
    /// Whether it was made here, and is given back if it comes to nothing.
    is_own: bool,
    client: &'a Client,
    keypair: &'a Keypair,
}

impl<'a> HeldClaim<'a> {
    /// Claims `task`, and shows what whoever claims must be shown.
    pub(crate) async fn make(
        client: &'a Client,
        task: &ServedTask,
        description: &str,
        keypair: &'a Keypair,
    ) -> Done<Self> {
        let description: String = description.chars().take(LONGEST_DESCRIPTION).collect();
        let claim = client.claim(task.id, &description, keypair).await?;
        show_disclaimer(client, &claim);
        eprintln!(
            "claim {} on {} until {}",
            claim.id,
            task.task.slug,
            plain(&claim.expires_at)
        );
        Ok(Self {
            id: claim.id,
            is_own: true,
            client,
            keypair,
        })
    }

    /// A claim that was made elsewhere, and stays whatever happens.
    pub(crate) fn given(id: Id, client: &'a Client, keypair: &'a Keypair) -> Self {
        Self {
            id,
            is_own: false,
            client,
            keypair,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Submits for it; a claim that was made here is given back if that fails.
    pub(crate) async fn submit(
        self,
        body: &serde_json::Value,
    ) -> Result<serde_json::Value, ClientError> {
        let sent = self.client.submit(body, self.id, self.keypair).await;
        if sent.is_err() {
            self.give_back().await;
        }
        sent
    }

    /// Gives it back, also after an interruption. That it could not be given back
    /// is told and nothing else: it ends by itself.
    pub(crate) async fn give_back(self) {
        if !self.is_own {
            return;
        }
        match self
            .client
            .parting()
            .cancel_claim(self.id, self.keypair)
            .await
        {
            Ok(_) => eprintln!("claim {} is given back", self.id),
            // It expired, or was used up by a submission whose answer was lost.
            Err(error) if error.is_status(409) => {}
            Err(error) => eprintln!(
                "claim {} could not be given back, and ends by itself: {error}",
                self.id
            ),
        }
    }
}

fn show_disclaimer(client: &Client, claim: &Claim) {
    let Some(disclaimer) = claim
        .participation_disclaimer
        .as_ref()
        .filter(|one| one.must_display)
    else {
        return;
    };
    let url = if disclaimer.url.starts_with('/') {
        client.address(&disclaimer.url)
    } else {
        plain(&disclaimer.url)
    };
    eprintln!(
        "{}: {} ({url})",
        plain(&disclaimer.title),
        plain(&disclaimer.summary)
    );
}
