"""Lines of logs as CloudFront, S3 and nginx write them, and of those who write into logs what they like."""

from __future__ import annotations

import json
from datetime import date

import pytest

from registry_builder.maintenance.downloads._log_lines import Answer, is_ours, reader_for

PATH = "/plugins/acme/slack/1.0.0/slack-1.0.0.bin"
FIELDS = (
    "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    "cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes "
    "time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end"
)


def cloudfront(start: str = "-", end: str = "-", status: str = "200", agent: str = "sealdex") -> str:
    """A line of CloudFront's standard logs, v1."""
    return (
        f"2026-11-20\t23:59:59\tFRA2-C1\t17500\t198.51.100.7\tGET\td111.cloudfront.net\t{PATH}\t{status}\t-\t{agent}\t-\t-"
        f"\tHit\tWEmFsdGVyIQ==\tplugins.example\thttps\t301\t0.004\t-\tTLSv1.3\tTLS_AES_128\tHit\tHTTP/2.0\t-\t-\t443"
        f"\t0.004\tHit\tapplication/zip\t17000\t{start}\t{end}"
    )


S3 = (
    "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be acme-plugins [20/Nov/2026:23:59:59 +0000] "
    "198.51.100.7 - 3E57427F3EXAMPLE REST.GET.OBJECT plugins/acme/slack/1.0.0/slack-1.0.0.bin "
    '"GET /acme-plugins/plugins/acme/slack/1.0.0/slack-1.0.0.bin HTTP/1.1" 200 - 17 17 12 11 "-" "sealdex" - '
    "s9lzHYrFp76ZVxRcpX9= - ECDHE-RSA-AES128-GCM-SHA256 - acme-plugins.s3.amazonaws.com TLSV1.2 - -"
)
NGINX = f'198.51.100.7 - - [21/Nov/2026:00:59:59 +0100] "GET {PATH} HTTP/1.1" 200 17 "-" "sealdex"'
NGINX_JSON = {
    "time_iso8601": "2026-11-21T00:59:59+01:00",
    "remote_addr": "198.51.100.7",
    "request_method": "GET",
    "request_uri": f"{PATH}?x=1",
    "status": 200,
    "body_bytes_sent": "17",
    "http_user_agent": "sealdex",
    "http_range": "",
}
V2_JSON = {
    "date": "2026-11-20",
    "time": "23:59:59",
    "cs-method": "GET",
    "cs-uri-stem": PATH,
    "sc-status": "206",
    "cs(User-Agent)": "sealdex",
    "x-edge-request-id": "WEmFsdGVyIQ==",
    "sc-range-start": "0",
    "sc-bytes": "17500",
    "c-ip": "198.51.100.7",
}


def answer(*lines: str) -> Answer | None:
    reader = reader_for(lines[0])
    return [reader(line) for line in lines][-1]


@pytest.mark.parametrize(
    ("lines", "more"),
    [
        (["#Version: 1.0", FIELDS, cloudfront()], {"size": 17500, "says_ranges": True, "id": "WEmFsdGVyIQ=="}),
        ([cloudfront()], {"size": 17500, "says_ranges": True, "id": "WEmFsdGVyIQ=="}),
        (
            [json.dumps(V2_JSON)],
            {"status": 206, "size": 17500, "start": 0, "says_ranges": True, "id": "WEmFsdGVyIQ=="},
        ),
        ([S3], {"size": 17, "id": "3E57427F3EXAMPLE", "bucket": "acme-plugins"}),
        ([NGINX], {"size": 17}),
        ([f'{NGINX} "-" rt=0.004'], {"size": 17}),
        ([json.dumps(NGINX_JSON)], {"size": 17, "says_ranges": True}),
        (["#Fields:\ttimestamp\tcs_method\tcs_uri_stem\tsc_status\tcs_user_agent",
          f"1795219199\tGET\t{PATH}\t200\tsealdex"], {}),
    ],
    ids=["v1", "v2 plain", "v2 json", "s3", "combined", "combined and more", "nginx json", "v2 w3c with own fields"],
)  # fmt: skip
def test_each_format_says_the_same(lines: list[str], more: dict[str, object]) -> None:
    expected = {"day": date(2026, 11, 20), "method": "GET", "path": PATH, "status": 200, **more}
    assert answer(*lines) == Answer(**expected)  # type: ignore[arg-type]  # fields by name


def test_ranges_are_known_by_their_first_byte() -> None:
    starts = []
    for start, status in (("0", "206"), ("4096", "206"), ("-", "200")):
        found = answer(FIELDS, cloudfront(start, "8191", status))
        assert found is not None
        starts.append(found.start)
    assert starts == [0, 4096, None]
    found = answer(json.dumps({**NGINX_JSON, "http_range": "bytes=4096-8191"}))
    assert found is not None
    assert found.start == 4096


@pytest.mark.parametrize(
    ("agent", "ours"),
    [
        ("sealdex", True),
        ("sealdex/0.2.0", True),
        ("sealdex/0.2.0 (agent-7)", True),
        ("sealdex%2F0.2.0%20(agent-7)", True),
        ("sealdex-scanner", False),
        ("Mozilla/5.0 sealdex", False),
        ("curl/8.5", False),
        ("-", False),
    ],
)
def test_only_our_client_counts(agent: str, ours: bool) -> None:
    assert is_ours(agent) is ours


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["hello"], "is not a log of"),
        (["<html>"], "is not a log of"),
        ([FIELDS, f"{cloudfront()}\tone"], "has 34 columns, but #Fields names 33"),
        (["#Version: 1.0", cloudfront()], "comes before a line"),
        (["#Fields: date time cs-method sc-status", "2026-11-20\t00:00:00\tGET\t200"], "User-Agent"),
        ([json.dumps({**NGINX_JSON, "http_user_agent": None, "status": None}), "{}"], "lacks a field"),
        ([json.dumps(NGINX_JSON), '{"http_user_agent": "\\x22sealdex"}'], "escape=json"),
        ([json.dumps(NGINX_JSON), "[1]"], "is not a JSON object"),
        ([json.dumps(NGINX_JSON), "[" * 100_000], "nested too deeply"),
        ([json.dumps(NGINX_JSON), json.dumps({**NGINX_JSON, "status": "9" * 5000})], "not a number of at most 18"),
        ([json.dumps(NGINX_JSON), json.dumps({**NGINX_JSON, "body_bytes_sent": "٣"})], "not a number of at most 18"),
        ([json.dumps(NGINX_JSON), json.dumps({**NGINX_JSON, "time_iso8601": "9" * 18})], "time that can't be read"),
        ([NGINX, NGINX.replace("21/Nov", "99/Nov")], "time that can't be read"),
        ([NGINX, "sealdex"], "is not a line of nginx"),
        ([S3, "sealdex"], "is not a line of an S3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(lines: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        answer(*lines)


def test_attack_quotes_in_a_user_agent_make_no_line_unreadable() -> None:
    """S3 doesn't escape them: whoever sends them would otherwise end the counting, or be counted as our client."""
    assert answer(S3.replace('"sealdex"', '"x" 200 - 17 17 12 11 "-" "sealdex"')) is None
    assert answer(S3.replace('"sealdex"', '"sealdex" "')) is not None  # it says so itself
    assert answer(NGINX.replace('"sealdex"', r'"x\x22 \"sealdex"')) is None
    assert answer(NGINX.replace("- - [", "- [[[" * 1000 + " [")) is not None


def test_requests_as_proxies_and_scanners_write_them() -> None:
    found = answer(NGINX.replace(f"GET {PATH}", f"GET http://plugins.example{PATH}?a=b"))
    assert found is not None
    assert found.path == PATH
    garbage = answer(NGINX.replace(f"GET {PATH} HTTP/1.1", r"\x16\x03\x01"))
    assert garbage is not None
    assert garbage.method != "GET"
