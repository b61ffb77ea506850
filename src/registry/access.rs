//! Who we are at a registry: the answer to its challenge, kept for the next questions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::transfer::{self, Body};
use super::{Login, Registries, RegistryError, Result};

/// What is going to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Actions {
    Pull,
    Push,
}

pub(super) struct Access {
    registry: Option<String>,
    host: String,
    repository: String,
    insecure: bool,
    base: OnceCell<Url>,
    known: Mutex<HashMap<Actions, HeaderValue>>,
}

impl Access {
    pub(super) fn new(
        registry: Option<String>,
        host: String,
        repository: String,
        insecure: bool,
    ) -> Self {
        Self {
            registry,
            host,
            repository,
            insecure,
            base: OnceCell::new(),
            known: Mutex::default(),
        }
    }

    /// The address below which everything of the repository is. Where plain HTTP is allowed, it
    /// is tried first, without saying who we are: a server without TLS may wait for more when
    /// it is greeted with TLS, and one with TLS says at once that it wants it.
    pub(super) async fn base(&self, registries: &Registries) -> Result<Url> {
        let find = || async {
            let url = |scheme: &str| {
                let text = format!("{scheme}://{}/v2/{}/", self.host, self.repository);
                Url::parse(&text).map_err(|error| RegistryError::Local(error.to_string()))
            };
            if !self.insecure {
                return url("https");
            }
            let probe = async |scheme: &str| {
                let probe = format!("{scheme}://{}/v2/", self.host);
                let probe = registries.client.get(probe);
                transfer::send(probe, Body::None, registries.patience).await
            };
            let plain = match probe("http").await {
                Ok(reply) if reply.status != StatusCode::BAD_REQUEST => return url("http"),
                Ok(_) => None,
                Err(error) => Some(error),
            };
            match (probe("https").await, plain) {
                (Ok(_), _) => url("https"),
                (Err(error), None) | (Err(_), Some(error)) => Err(error),
            }
        };
        self.base.get_or_try_init(find).await.cloned()
    }

    pub(super) fn host_name(&self) -> Option<String> {
        let base = self.base.get()?;
        base.host_str().map(str::to_owned)
    }

    pub(super) fn known(&self, actions: Actions) -> Option<HeaderValue> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&actions).cloned()
    }

    /// Answers a challenge; `None` when there is none that we could answer.
    pub(super) async fn answer(
        &self,
        registries: &Registries,
        challenges: &[String],
        actions: Actions,
    ) -> Result<Option<HeaderValue>> {
        let challenge = challenges.iter().find_map(|text| Challenge::read(text));
        let Some(challenge) = challenge else {
            return Ok(None);
        };
        let login = registries.logins.login(self.registry.as_deref()).await;
        let login = login.map_err(RegistryError::Unauthorized)?;
        let text = match challenge {
            Challenge::Basic => match login {
                Some(login) => basic(&login),
                None => return Ok(None),
            },
            Challenge::Bearer(fields) => {
                let token = self.token(registries, &fields, login, actions).await?;
                format!("Bearer {token}")
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            RegistryError::Unauthorized("its token cannot stand in a header".into())
        })?;
        value.set_sensitive(true);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(actions, value.clone());
        Ok(Some(value))
    }

    async fn token(
        &self,
        registries: &Registries,
        fields: &HashMap<String, String>,
        login: Option<Login>,
        actions: Actions,
    ) -> Result<String> {
        let unauthorized = |why: &str| RegistryError::Unauthorized(why.to_owned());
        let realm = fields.get("realm").map(|realm| Url::parse(realm));
        let Some(Ok(mut realm)) = realm else {
            return Err(unauthorized("it does not say where tokens are"));
        };
        let service = fields.get("service").cloned().unwrap_or_default();
        let actions = match actions {
            Actions::Pull => "pull",
            Actions::Push => "pull,push",
        };
        let scope = format!("repository:{}:{actions}", self.repository);
        let request = match login {
            Some(Login::IdentityToken(token)) => registries
                .client
                .post(realm)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form(&[
                    ("grant_type", "refresh_token"),
                    ("service", &service),
                    ("client_id", "bowline"),
                    ("scope", &scope),
                    ("refresh_token", &token),
                ])),
            login => {
                realm
                    .query_pairs_mut()
                    .append_pair("service", &service)
                    .append_pair("scope", &scope);
                let request = registries.client.get(realm);
                match login {
                    Some(Login::Password { username, password }) => {
                        request.basic_auth(username, Some(password))
                    }
                    _ => request,
                }
            }
        };
        let reply = transfer::send(request, Body::None, registries.patience).await?;
        if !reply.status.is_success() {
            let status = reply.status;
            return Err(unauthorized(&format!("it gives no token: `{status}`")));
        }
        let bytes = reply.bytes(1 << 20).await?;
        let answer: Token =
            serde_json::from_slice(&bytes).map_err(|_| unauthorized("its token makes no sense"))?;
        answer
            .token
            .or(answer.access_token)
            .ok_or_else(|| unauthorized("it gives no token"))
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

fn basic(login: &Login) -> String {
    let pair = match login {
        Login::Password { username, password } => format!("{username}:{password}"),
        Login::IdentityToken(token) => format!("<token>:{token}"),
    };
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form/").expect("an address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

#[derive(Debug, PartialEq)]
enum Challenge {
    Basic,
    Bearer(HashMap<String, String>),
}

impl Challenge {
    /// `Bearer realm="https://…",service="…",scope="…"`
    fn read(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut fields = HashMap::new();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.trim_matches([' ', ',']).to_lowercase();
            let value = match after.strip_prefix('"') {
                Some(quoted) => {
                    let (value, left) = quoted.split_once('"')?;
                    rest = left;
                    value
                }
                None => {
                    let (value, left) = after.split_once(',').unwrap_or((after, ""));
                    rest = left;
                    value
                }
            };
            fields.insert(name, value.to_owned());
        }
        Some(Self::Bearer(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        assert_eq!(
            Challenge::read("Basic realm=\"test\""),
            Some(Challenge::Basic)
        );
        assert_eq!(Challenge::read("Negotiate"), None);
        let text =
            "Bearer realm=\"https://auth.example/token?a=b\",service=\"r\",scope=\"x:y:pull,push\"";
        let Some(Challenge::Bearer(fields)) = Challenge::read(text) else {
            panic!("no bearer");
        };
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort();
        let expected = [
            ("realm", "https://auth.example/token?a=b"),
            ("scope", "x:y:pull,push"),
            ("service", "r"),
        ];
        assert_eq!(fields, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        assert_eq!(Challenge::read("Bearer realm=\"open"), None);
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form(&[("a", "b c&"), ("d", "é")]), "a=b+c%26&d=%C3%A9");
    }
}
