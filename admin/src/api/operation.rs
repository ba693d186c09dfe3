//! One operation of the API: its handler, its permission and its documentation, made together so
//! that none can be without the others.

use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::MethodRouter;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, SchemaType, Type,
};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::PathItemExt;
use utoipa_axum::router::UtoipaMethodRouter;

use super::once::once;
use super::problem::{PROBLEM_JSON, Problem};
use crate::app::App;
use crate::app::auth::{Action, Area, Permission, Principal};

const JSON: &str = "application/json";

/// An operation in the making.
pub(crate) struct Operation {
    method: HttpMethod,
    path: String,
    need: Option<(Action, Area)>,
    doc: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Operation {
    /// `method` on `path`. Braces in the path are its parameters. `id` names the operation in
    /// generated clients.
    pub(crate) fn new(method: HttpMethod, path: &str, id: &str) -> Self {
        let mut doc = OperationBuilder::new().operation_id(Some(id));
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            doc = doc.parameter(parameter(name, ParameterIn::Path, "Which one."));
        }
        Operation { method, path: path.to_owned(), need: None, doc, schemas: Vec::new() }
            .fails("default", "Any other refusal.")
    }

    /// The group it is listed in, and what it does.
    pub(crate) fn about(mut self, tag: &str, summary: &str) -> Self {
        self.doc = self.doc.tag(tag).summary(Some(summary));
        self
    }

    /// Who may. Without it the operation is open to everybody.
    pub(crate) fn needs(mut self, action: Action, area: Area) -> Self {
        let roles: Vec<&str> =
            Permission::required(action, area).iter().map(|role| role.as_str()).collect();
        self.doc = self.doc.description(Some(format!("Roles: {}.", roles.join(", "))));
        self.need = Some((action, area));
        self.fails("401", "No valid token or session.").fails("403", "The role does not allow it.")
    }

    /// A query parameter.
    pub(crate) fn query(mut self, name: &str, about: &str) -> Self {
        self.doc = self.doc.parameter(parameter(name, ParameterIn::Query, about));
        self
    }

    /// A request header.
    pub(crate) fn header(mut self, name: &str, about: &str) -> Self {
        self.doc = self.doc.parameter(parameter(name, ParameterIn::Header, about));
        self
    }

    /// `limit` and `after`.
    pub(crate) fn paged(self) -> Self {
        self.query("limit", "At most this many, 1 to 1000; default 100.")
            .query("after", "`next` of the page before.")
            .fails("400", "A wrong query parameter.")
    }

    /// A JSON body.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        let schema = self.known::<T>();
        self.doc = self.doc.request_body(Some(
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(JSON, Content::new(Some(schema)))
                .build(),
        ));
        self.fails("400", "The body is not JSON.")
            .fails("413", "The body is larger than 1 MiB.")
            .fails("415", "The content type is not JSON.")
            .fails("422", "Every fault of the document.")
    }

    /// A JSON merge patch (RFC 7396): some members of the schema of `T`, null to take one out.
    pub(crate) fn takes_patch<T: ToSchema>(mut self) -> Self {
        self.known::<T>();
        let about = format!("Members of {} to be changed; null takes one out.", T::name());
        let patch = ObjectBuilder::new()
            .description(Some(about))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)));
        let schema = Schema::Object(patch.build());
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/merge-patch+json", Content::new(Some(schema.clone())))
            .content(JSON, Content::new(Some(schema)));
        self.doc = self.doc.request_body(Some(body.build()));
        self.fails("400", "The body is not JSON.")
            .fails("413", "The body is larger than 1 MiB.")
            .fails("415", "The content type is not JSON.")
            .fails("422", "Every fault of the document.")
    }

    /// A JSON answer.
    pub(crate) fn returns<T: ToSchema>(mut self, status: &str, about: &str) -> Self {
        let schema = self.known::<T>();
        self.answers(status, about, JSON, schema)
    }

    /// A page of a list.
    pub(crate) fn returns_list<T: ToSchema>(mut self, about: &str) -> Self {
        let item = self.known::<T>();
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Cursor of the page that follows; null on the last."));
        let page = ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(item))
            .property("next", next)
            .required("items")
            .required("next");
        self.answers("200", about, JSON, RefOr::T(Schema::Object(page.build())))
    }

    /// An answer that is text of some media type.
    pub(crate) fn returns_text(self, status: &str, about: &str, media_type: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build();
        self.answers(status, about, media_type, RefOr::T(Schema::Object(text)))
    }

    /// The same answer as text of another media type, when the query asks for it.
    pub(crate) fn also_returns_text(mut self, status: &str, media_type: &str) -> Self {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build();
        let mut built = self.doc.build();
        if let Some(RefOr::T(response)) = built.responses.responses.get_mut(status) {
            response
                .content
                .insert(media_type.to_owned(), Content::new(Some(Schema::Object(text))).into());
        }
        self.doc = OperationBuilder::from(built);
        self
    }

    /// An answer without a body.
    pub(crate) fn returns_nothing(mut self, status: &str, about: &str) -> Self {
        self.doc = self.doc.response(status, ResponseBuilder::new().description(about));
        self
    }

    /// A refusal worth naming.
    pub(crate) fn fails(mut self, status: &str, about: &str) -> Self {
        let schema = self.known::<Problem>();
        self.answers(status, about, PROBLEM_JSON, schema)
    }

    /// The operation, done by `handler`.
    pub(crate) fn done_by<H, T>(mut self, app: &App, handler: H) -> UtoipaMethodRouter<App>
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let mut methods = MethodRouter::new().on(self.method.to_method_filter(), handler);
        match self.need {
            Some((action, area)) => {
                if self.method == HttpMethod::Post && action == Action::Write {
                    methods = methods.route_layer(from_fn_with_state(app.clone(), once));
                    self = self.header(
                        "Idempotency-Key",
                        "The same request with the same key within 24 hours is done once.",
                    );
                }
                let check = move |who: Principal, request: Request, next: Next| async move {
                    match who.demand(action, area) {
                        Ok(()) => next.run(request).await,
                        Err(refusal) => refusal.into_response(),
                    }
                };
                methods = methods.route_layer(from_fn(check));
            }
            // An empty requirement says: no credential is asked for.
            None => self.doc = self.doc.security(SecurityRequirement::default()),
        }
        let mut paths = Paths::new();
        paths.add_path_operation(&self.path, vec![self.method], self.doc.build());
        (self.schemas, paths, methods)
    }

    fn known<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }

    fn answers(
        mut self,
        status: &str,
        about: &str,
        media_type: &str,
        schema: RefOr<Schema>,
    ) -> Self {
        let response = ResponseBuilder::new()
            .description(about)
            .content(media_type, Content::new(Some(schema)));
        self.doc = self.doc.response(status, response);
        self
    }
}

fn parameter(name: &str, place: ParameterIn, about: &str) -> ParameterBuilder {
    let required = match place {
        ParameterIn::Path => Required::True,
        _ => Required::False,
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(about))
        .schema(Some(ObjectBuilder::new().schema_type(SchemaType::new(Type::String))))
}
