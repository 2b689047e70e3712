"""What schemathesis checks beside what /docs.json says."""

from typing import Any

import schemathesis

from tests.fuzz.promises import broken


@schemathesis.check
def keeps_promises(
    context: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case[Any],
) -> None:
    if case.method.upper() == "HEAD":  # its errors have no body
        return
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    told = broken(response.status_code, headers, response.content)
    assert not told, told
