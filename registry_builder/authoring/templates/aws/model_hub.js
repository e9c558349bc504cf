// Makes the Model Hub's own addresses work in CloudFront: /api/services is the file api/services/index.json, and
// /storage/services/ID/VERSION.zip the artifact where it is. Viewer request of the path patterns `storage/*`,
// `api/services*` and `api/models*`, on the runtime cloudfront-js-2.0, with a key value store that has what
// api/rewrites/model-hub.json of the published tree says. An address that isn't the Model Hub's goes through.
// The runtime has no `for of`, no destructuring and no default values.
import cf from 'cloudfront';

const STRANGE = /\/\/|\/\.{1,2}(?:\/|$)|[\\\u0000-\u001f\u007f]/;
const RULES = [
    [/^\/api\/(services|models)\/?$/, '/api/$1/index.json'],
    [/^\/api\/(services|models)\/([^/]+)\/?$/, '/api/$1/$2/index.json'],
    [/^\/api\/services\/([^/]+)\/([^/]+)\/checksum$/, '/api/services/$1/$2/checksum.json'],
    [/^\/storage\/models\/([^/]+)\/([^/]+)\/checksum\.sha256$/, '/api/models/$1/$2/checksum.sha256'],
];

async function place(path) {
    try {
        return await cf.kvs().get(path);
    } catch (error) {
        return undefined; // the store has no such key
    }
}

async function handler(event) {
    const request = event.request;
    let path;
    try {
        path = decodeURIComponent(request.uri);
    } catch (error) {
        return { statusCode: 404, statusDescription: 'Not Found' };
    }
    if (STRANGE.test(path)) {
        return { statusCode: 404, statusDescription: 'Not Found' };
    }
    const to = path.startsWith('/storage/') ? await place(path) : undefined;
    if (to !== undefined && to.startsWith('/plugins/')) {
        request.uri = to;
        return request;
    }
    if (to !== undefined) {
        return {
            statusCode: 302,
            statusDescription: 'Found',
            headers: { location: { value: to }, 'cache-control': { value: 'public, max-age=60' } },
        };
    }
    for (let number = 0; number < RULES.length && !request.uri.endsWith('.json'); number++) {
        if (RULES[number][0].test(request.uri)) {
            request.uri = request.uri.replace(RULES[number][0], RULES[number][1]);
            return request;
        }
    }
    return request;
}
