/* Shows the OpenAPI document of the service; nothing is sent to a validator elsewhere. */

window.SwaggerUIBundle({ url: "../openapi.json", dom_id: "#document", deepLinking: true, validatorUrl: null });
