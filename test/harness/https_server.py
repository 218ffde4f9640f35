# An HTTPS server for tests: https_server.py PORT CERTIFICATE KEY FOLDER
# Serves FOLDER with ETag and Range. What is asked for is written to FOLDER/.log, one line a request:
# "<status> <path> <Range or -> <Authorization or ->". Files in FOLDER/.rules change an answer, by the path's name:
#   <name>.status   the status and, after a line end, the body          <name>.cut   bytes sent before it hangs up (once)
#   <name>.stall    bytes sent before it says nothing any more
#   <name>.hollow   who asks for a Range is answered 200 and nothing (once)
import http.server, os, ssl, sys, time

port, certificate, key, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
rules = os.path.join(folder, '.rules')


def rule(name, kind):
    path = os.path.join(rules, name + '.' + kind)
    if not os.path.exists(path):
        return None
    with open(path) as file:
        return file.read()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *arguments):
        pass

    def answer(self, status, headers, body):
        with open(os.path.join(folder, '.log'), 'a') as log:
            log.write('%d %s %s %s\n' % (status, self.path, self.headers.get('Range', '-'), self.headers.get('Authorization', '-')))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        return body

    def do_GET(self):
        name = os.path.basename(self.path.split('?')[0])
        stated = rule(name, 'status')
        if stated is not None:
            status, _, text = stated.partition('\n')
            headers = {'Retry-After': '1'} if status == '503' else {}
            self.wfile.write(self.answer(int(status), headers, text.encode()))
            return
        path = os.path.join(folder, name)
        if not os.path.isfile(path):
            self.wfile.write(self.answer(404, {}, b'not found'))
            return
        with open(path, 'rb') as file:
            body = file.read()
        headers = {'ETag': '"%d-%d"' % (len(body), os.stat(path).st_mtime_ns)}
        status, wanted = 200, self.headers.get('Range')
        if wanted and rule(name, 'hollow') is not None:
            os.unlink(os.path.join(rules, name + '.hollow'))
            self.answer(200, headers, b'')
            return
        if wanted and self.headers.get('If-Range', headers['ETag']) == headers['ETag']:
            start = int(wanted[len('bytes='):-1])
            if start >= len(body):
                self.wfile.write(self.answer(416, {'Content-Range': 'bytes */%d' % len(body)}, b''))
                return
            headers['Content-Range'] = 'bytes %d-%d/%d' % (start, len(body) - 1, len(body))
            status, body = 206, body[start:]
        body = self.answer(status, headers, body)
        cut, stall = rule(name, 'cut'), rule(name, 'stall')
        if cut is not None:
            os.unlink(os.path.join(rules, name + '.cut'))
            self.wfile.write(body[:int(cut)])
            self.wfile.flush()
            self.close_connection = True
        elif stall is not None:
            self.wfile.write(body[:int(stall)])
            self.wfile.flush()
            time.sleep(600)
        else:
            self.wfile.write(body)


server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
