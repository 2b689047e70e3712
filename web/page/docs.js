// Shows /docs.json, whose address is relative, so that it may lie under any prefix.

SwaggerUIBundle({
  url: "docs.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // else a badge is fetched from another host
});
