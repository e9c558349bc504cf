// Makes addresses of pages work in CloudFront, which asks S3 for exactly what a browser asked for:
// /acme/slack/ is the file acme/slack/index.html; /acme/slack is sent there, since a page's links are relative.
// Metadata, documents and artifacts go through as they are. An address with an empty segment, a '.' or '..' is none of
// ours; S3 might take it for another one.
var FILES = /^\/(?:metadata|targets|plugins|api|assets)(?:\/|$)/;
var STRANGE = /\/\/|\/\.{1,2}(?:\/|$)|[\\\u0000-\u001f\u007f]/;
var FOLDER = /^(?:\/[A-Za-z0-9_-]+)+$/;

function handler(event) {
    var request = event.request;
    var path;
    try {
        path = decodeURIComponent(request.uri);
    } catch (error) {
        return request;
    }
    if (STRANGE.test(path)) {
        return { statusCode: 404, statusDescription: 'Not Found' };
    }
    if (FILES.test(path)) {
        return request;
    }
    if (request.uri.endsWith('/')) {
        request.uri += 'index.html';
    } else if (FOLDER.test(request.uri)) {
        return {
            statusCode: 301,
            statusDescription: 'Moved Permanently',
            headers: {
                location: { value: request.uri + '/' },
                'cache-control': { value: 'public, max-age=60' },
            },
        };
    }
    return request;
}
