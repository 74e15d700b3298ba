// An endpoint in Rust, with the standard library only: it writes down who created a Pod. Use axum and serde_json for more.
use std::{env, io::{BufRead, BufReader, Read, Result, Write}, net::{TcpListener, TcpStream}, thread};

fn serve(mut stream: TcpStream) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length, mut user, mut post) = (String::new(), 0, String::new(), false);
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        post |= line.starts_with("POST ");
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0).min(7 << 20),
                "ce-authid" => user = value.trim().replace('\\', "\\\\").replace('"', "\\\""),
                _ => (),
            }
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (pod, key) = (String::from_utf8_lossy(&body), "example.com/created-by"); // a user as in the header: %XX stays
    let (status, answer) = if !(post && pod.starts_with('{') && pod.trim_end().ends_with('}')) { ("400 Bad Request", "{}".into()) }
        else if pod.contains(&format!("\"{key}\":")) { ("200 OK", "[]".into()) }
        else { ("200 OK", format!(r#"[{{"op":"add","path":"/metadata/annotations/{}","value":"{user}"}}]"#, key.replace('/', "~1"))) };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len())
}

fn main() { TcpListener::bind(format!("0.0.0.0:{}", env::var("PORT").unwrap())).unwrap().incoming().flatten().for_each(|s| { thread::spawn(|| serve(s)); }) }
