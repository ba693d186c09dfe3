//! No request hangs: what cannot be answered soon is refused.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::Refusal;

/// The longest that an answer may take to begin. Above what a write waits for a locked database
/// by itself, so that the store's own word about it comes first where there is one; what a stream
/// sends after its beginning takes as long as it takes.
const LONGEST: Duration = Duration::from_secs(25);

/// The middleware around everything that may wait for the database. A write that is given up
/// here was not committed: its transaction goes with it.
pub(crate) async fn patience(request: Request, next: Next) -> Response {
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::Unavailable("it takes too long now: try again").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_waits_for_ever_is_refused_as_unavailable() {
        let router: Router = Router::new()
            .route("/", get(std::future::pending::<&'static str>))
            .layer(from_fn(patience));
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(answer.headers()["retry-after"], "1");
    }
}
